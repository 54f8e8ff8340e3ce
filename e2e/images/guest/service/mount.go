package main

import (
	"strings"
	"syscall"
)

var mountFlags = map[string]struct {
	flag  uintptr
	clear bool
}{
	"ro":          {syscall.MS_RDONLY, false},
	"rw":          {syscall.MS_RDONLY, true},
	"nosuid":      {syscall.MS_NOSUID, false},
	"suid":        {syscall.MS_NOSUID, true},
	"nodev":       {syscall.MS_NODEV, false},
	"dev":         {syscall.MS_NODEV, true},
	"noexec":      {syscall.MS_NOEXEC, false},
	"exec":        {syscall.MS_NOEXEC, true},
	"sync":        {syscall.MS_SYNCHRONOUS, false},
	"async":       {syscall.MS_SYNCHRONOUS, true},
	"dirsync":     {syscall.MS_DIRSYNC, false},
	"mand":        {syscall.MS_MANDLOCK, false},
	"noatime":     {syscall.MS_NOATIME, false},
	"atime":       {syscall.MS_NOATIME, true},
	"nodiratime":  {syscall.MS_NODIRATIME, false},
	"relatime":    {syscall.MS_RELATIME, false},
	"norelatime":  {syscall.MS_RELATIME, true},
	"strictatime": {syscall.MS_STRICTATIME, false},
	"bind":        {syscall.MS_BIND, false},
	"rbind":       {syscall.MS_BIND | syscall.MS_REC, false},
	"remount":     {syscall.MS_REMOUNT, false},
	"defaults":    {0, false},
}

var propagation = map[string]uintptr{
	"private":     syscall.MS_PRIVATE,
	"rprivate":    syscall.MS_PRIVATE | syscall.MS_REC,
	"shared":      syscall.MS_SHARED,
	"rshared":     syscall.MS_SHARED | syscall.MS_REC,
	"slave":       syscall.MS_SLAVE,
	"rslave":      syscall.MS_SLAVE | syscall.MS_REC,
	"unbindable":  syscall.MS_UNBINDABLE,
	"runbindable": syscall.MS_UNBINDABLE | syscall.MS_REC,
}

// parseOptions splits the options of a mount in flags, changes of propagation and the rest,
// which the file system itself understands.
func parseOptions(options []string) (flags uintptr, changes []uintptr, data string) {
	var rest []string
	for _, option := range options {
		if known, ok := mountFlags[option]; ok {
			if known.clear {
				flags &^= known.flag
			} else {
				flags |= known.flag
			}
		} else if change, ok := propagation[option]; ok {
			changes = append(changes, change)
		} else {
			rest = append(rest, option)
		}
	}
	return flags, changes, strings.Join(rest, ",")
}

// mount applies one mount of a runtime.json. `remount` together with a propagation only
// changes the propagation: the kernel takes these apart.
func mount(m mountSpec) error {
	flags, changes, data := parseOptions(m.Options)
	onlyChange := len(changes) > 0 && flags&^syscall.MS_REMOUNT == 0 && m.Type == ""
	if !onlyChange {
		if err := syscall.Mount(m.Source, m.Destination, m.Type, flags, data); err != nil {
			return err
		}
		// A bind mount takes its other flags only from a second call.
		if flags&syscall.MS_BIND != 0 && flags&^(syscall.MS_BIND|syscall.MS_REC|syscall.MS_REMOUNT) != 0 {
			if err := syscall.Mount("", m.Destination, "", flags|syscall.MS_REMOUNT, ""); err != nil {
				return err
			}
		}
	}
	for _, change := range changes {
		if err := syscall.Mount("", m.Destination, "", change, ""); err != nil {
			return err
		}
	}
	return nil
}
