#!/usr/bin/env bash
# Builds the image with docker, podman or buildah:
#
#   scripts/image.sh build           IMAGE
#   scripts/image.sh from-binary     IMAGE    from a local build (profile dist), without pulling a base image
#   scripts/image.sh check           IMAGE    fails if it is too large or reports another version
#   scripts/image.sh push            IMAGE
#
# Environment:
#   IMAGE_TOOL    docker, podman or buildah (default: the first one found)
#   IMAGE_FLAGS   additional flags of the tool, e.g. --storage-driver vfs
#   RUST_IMAGE    the build image; see Dockerfile
set -euo pipefail
cd "$(dirname "$0")/.."

MAX_MIB=40

fail() { echo "image.sh: $*" >&2; exit 1; }
(($# == 2)) || fail 'usage: scripts/image.sh build|from-binary|check|push IMAGE'
action=$1 image=$2
tool=${IMAGE_TOOL:-}
if [[ -z $tool ]]; then
  ! docker info >/dev/null 2>&1 || tool=docker
  for name in podman buildah; do [[ -n $tool ]] || ! command -v $name >/dev/null || tool=$name; done
fi
[[ -n $tool ]] || fail 'no docker with a daemon, no podman, no buildah: apt-get install buildah'
read -ra flags <<<"${IMAGE_FLAGS:-}"
run() { "$tool" "${flags[@]}" "$@"; }

commit=$(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
[[ -z $(git status --porcelain 2>/dev/null) ]] || commit+=-modified
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
arguments=(--build-arg "COMMIT=$commit" --build-arg "VERSION=$version" -t "$image")
[[ $tool != buildah ]] || arguments+=(--isolation "${BUILDAH_ISOLATION:-chroot}")

case $action in
  build)
    [[ -z ${RUST_IMAGE:-} ]] || arguments+=(--build-arg "RUST=$RUST_IMAGE")
    run build "${arguments[@]}" -f Dockerfile .
    ;;
  from-binary)
    cargo=(cargo build)
    if cargo auditable --version >/dev/null 2>&1; then cargo=(cargo auditable build); else
      echo 'image.sh: building without a dependency list; to add one: cargo install cargo-auditable' >&2
    fi
    JUMUN_COMMIT=$commit "${cargo[@]}" --profile dist --locked -p jumun
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    scripts/rootfs.sh "${CARGO_TARGET_DIR:-target}/dist/jumun" "$folder/rootfs"
    # The last stage of the Dockerfile, from that folder.
    sed -n '/^FROM scratch/,$p' Dockerfile | sed 's|^COPY --from=build /rootfs/ /|COPY rootfs/ /|' >"$folder/Dockerfile"
    run build "${arguments[@]}" -f "$folder/Dockerfile" "$folder"
    ;;
  check)
    archive=$(mktemp)
    trap 'rm -f "$archive"' EXIT
    case $tool in
      buildah) run push --quiet "$image" "docker-archive:$archive:$image" ;;
      *) run save -o "$archive" "$image" ;;
    esac
    size=$(($(stat -c %s "$archive") / 1024 / 1024))
    ((size <= MAX_MIB)) || fail "$image is $size MiB, more than $MAX_MIB"
    if [[ $tool == buildah ]]; then
      container=$(run from --pull-never "$image")
      said=$(run run --isolation "${BUILDAH_ISOLATION:-chroot}" --user 65532:65532 "$container" -- jumun --version) || said=
      run rm "$container" >/dev/null
    else
      said=$(run run --rm "$image" --version)
    fi
    [[ $said == "jumun $version ("*")" ]] || fail "$image reports '$said', not jumun $version with a commit"
    echo "$image: $size MiB, $said"
    ;;
  push) run push "$image" ;;
  *) fail "no such action: $action" ;;
esac
