package main

import (
	"fmt"
	"os"
	"syscall"
)

const (
	ramfsMagic = 0x858458f6
	tmpfsMagic = 0x01021994
	newRoot    = "/mnt"
)

// enterRoot makes a root that containers can leave: pivot_root, which runc uses, refuses to
// leave the file system that the kernel unpacked its initramfs into, since that is mounted
// on nothing (pivot_root(2)). The same files, bound and moved over themselves, are.
// It ends by becoming /sbin/init.
func enterRoot() error {
	var root syscall.Statfs_t
	if err := syscall.Statfs("/", &root); err != nil {
		return err
	}
	if root.Type == ramfsMagic || root.Type == tmpfsMagic {
		if err := os.MkdirAll(newRoot, 0o755); err != nil {
			return err
		}
		if err := syscall.Mount("/", newRoot, "", syscall.MS_BIND, ""); err != nil {
			return fmt.Errorf("binding the new root: %w", err)
		}
		if err := os.Chdir(newRoot); err != nil {
			return err
		}
		if err := syscall.Mount(".", "/", "", syscall.MS_MOVE, ""); err != nil {
			return fmt.Errorf("moving the new root: %w", err)
		}
		// The kernel's helpers, modprobe for one, share this and come along.
		if err := syscall.Chroot("."); err != nil {
			return err
		}
		if err := os.Chdir("/"); err != nil {
			return err
		}
	}
	return syscall.Exec("/sbin/init", []string{"/sbin/init"}, []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "TERM=linux"})
}
