package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"syscall"
)

const (
	ramfsMagic = 0x858458f6
	tmpfsMagic = 0x01021994
	newRoot    = "/mnt"
)

// moveRoot moves what the kernel unpacked into a tmpfs of its own and makes that the root:
// pivot_root, which runc uses, refuses to leave the kernel's first root file system.
// It ends by becoming /sbin/init.
func moveRoot() error {
	var root syscall.Statfs_t
	if err := syscall.Statfs("/", &root); err != nil {
		return err
	}
	if root.Type == ramfsMagic || root.Type == tmpfsMagic {
		if err := os.MkdirAll(newRoot, 0o755); err != nil {
			return err
		}
		if err := syscall.Mount("rootfs", newRoot, "tmpfs", 0, "size=95%,mode=755"); err != nil {
			return fmt.Errorf("mounting the new root: %w", err)
		}
		if err := moveTree("/", newRoot); err != nil {
			return err
		}
		if err := os.Chdir(newRoot); err != nil {
			return err
		}
		if err := syscall.Mount(".", "/", "", syscall.MS_MOVE, ""); err != nil {
			return fmt.Errorf("moving the new root: %w", err)
		}
		if err := syscall.Chroot("."); err != nil {
			return err
		}
		if err := os.Chdir("/"); err != nil {
			return err
		}
	}
	return syscall.Exec("/sbin/init", []string{"/sbin/init"}, []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "TERM=linux"})
}

// moveTree moves one file at a time and removes it, so that the image is never there twice.
// Directories get their mode and times last, when nothing is written into them any more.
func moveTree(from, to string) error {
	device, err := deviceOf(from)
	if err != nil {
		return err
	}
	type visited struct {
		path string
		info os.FileInfo
	}
	var folders []visited
	linked := map[uint64]string{}
	err = filepath.Walk(from, func(path string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		stat := info.Sys().(*syscall.Stat_t)
		if uint64(stat.Dev) != device {
			return filepath.SkipDir
		}
		relative, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, relative)
		switch {
		case info.IsDir():
			if path == newRoot {
				os.MkdirAll(target, 0o755)
				return filepath.SkipDir
			}
			folders = append(folders, visited{path, info})
			return os.MkdirAll(target, 0o755)
		case info.Mode()&os.ModeSymlink != 0:
			link, err := os.Readlink(path)
			if err != nil {
				return err
			}
			if err := os.Symlink(link, target); err != nil {
				return err
			}
			os.Lchown(target, int(stat.Uid), int(stat.Gid))
			return os.Remove(path)
		}
		if first, ok := linked[stat.Ino]; ok {
			if err := os.Link(first, target); err != nil {
				return err
			}
			return os.Remove(path)
		}
		if stat.Nlink > 1 {
			linked[stat.Ino] = target
		}
		if info.Mode().IsRegular() {
			err = moveFile(path, target)
		} else {
			err = syscall.Mknod(target, stat.Mode, int(stat.Rdev))
		}
		if err != nil {
			return fmt.Errorf("moving %s: %w", path, err)
		}
		if err := settle(target, stat); err != nil {
			return err
		}
		return os.Remove(path)
	})
	if err != nil {
		return err
	}
	sort.Slice(folders, func(i, j int) bool { return len(folders[i].path) > len(folders[j].path) })
	for _, folder := range folders {
		relative, _ := filepath.Rel(from, folder.path)
		if err := settle(filepath.Join(to, relative), folder.info.Sys().(*syscall.Stat_t)); err != nil {
			return err
		}
	}
	return nil
}

func deviceOf(path string) (uint64, error) {
	var stat syscall.Stat_t
	err := syscall.Stat(path, &stat)
	return uint64(stat.Dev), err
}

func moveFile(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Close())
}

// settle gives owner, mode (after the owner: chown clears set-uid bits) and times.
func settle(path string, stat *syscall.Stat_t) error {
	if err := os.Lchown(path, int(stat.Uid), int(stat.Gid)); err != nil {
		return err
	}
	if err := syscall.Chmod(path, stat.Mode&0o7777); err != nil {
		return err
	}
	return syscall.UtimesNano(path, []syscall.Timespec{stat.Mtim, stat.Mtim})
}
