#!/usr/bin/env bash
# Puts a program into an empty folder, with all that it needs there to be an image:
#
#   scripts/rootfs.sh PROGRAM FOLDER
#
# Its libraries (it is linked to glibc, whose resolver of names cannot be linked statically), whom TLS trusts, the user
# that it runs as, and a folder of its own for data.
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
# Only root can give the folder away; with another builder a volume's owner counts (fsGroup).
chown "$user:$user" "$folder/data" 2>/dev/null || chmod 1777 "$folder/data"
