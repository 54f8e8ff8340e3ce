#!/bin/sh
# Mounts the file system with a label (default: data) on a folder.
#   mount.sh [-label LABEL] FOLDER
label=data
target=
while [ $# -gt 0 ]; do
  case $1 in
    -label) label=$2 && shift ;;
    *) target=$1 ;;
  esac
  shift
done
device=$(findfs "LABEL=$label")
if [ -z "$target" ] || [ -z "$device" ]; then
  echo "mount: no file system labelled $label, or no folder given" >&2
  exit 1
fi
mkdir -p "$target" && mount -o rw,relatime "$device" "$target" && echo "mount: $device on $target"
