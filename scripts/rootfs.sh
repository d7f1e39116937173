#!/usr/bin/env bash
# Creates a root file system for a program, to make an image of:
#
#   scripts/rootfs.sh PROGRAM FOLDER
#
# It contains the libraries (glibc is linked dynamically, because its name resolution cannot be linked statically), the
# CA certificates of TLS, the user, and a data folder.
set -euo pipefail

program=$1 folder=$2
user=65532
certificates=/etc/ssl/certs/ca-certificates.crt

mkdir -p "$folder"/{usr/bin,etc/ssl/certs,data,tmp}
cp "$program" "$folder/usr/bin/jumun"
ldd "$program" | grep -o '/[^ )]*' | while read -r library; do
  mkdir -p "$folder$(dirname "$library")"
  cp -L "$library" "$folder$library"
done
[[ ! -r $certificates ]] || cp -L "$certificates" "$folder$certificates"
echo "jumun:x:$user:$user::/data:/sbin/nologin" >"$folder/etc/passwd"
echo "jumun:x:$user:" >"$folder/etc/group"
echo 'hosts: files dns' >"$folder/etc/nsswitch.conf"
chmod 1777 "$folder/tmp"
# Only root can change the owner; otherwise the owner of the volume applies (fsGroup).
chown "$user:$user" "$folder/data" 2>/dev/null || chmod 1777 "$folder/data"
