// Command metadata puts the data that a hypervisor hands to a machine where services look
// for it: /run/config.
//
//	metadata cdrom     reads user-data (or config) from a disk labelled cidata, or a CD-ROM
//	metadata file=PATH reads it from a file
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	configFolder = "/run/config"
	mountPoint   = "/run/metadata-cdrom"
	// limit bounds what is read from a disk, in bytes.
	limit = 16 << 20
	// driveDeadline is how long a drive may take to turn up.
	driveDeadline = 10 * time.Second
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "metadata:", err)
		os.Exit(1)
	}
}

func run(providers []string) error {
	if len(providers) == 0 {
		providers = []string{"cdrom"}
	}
	for _, provider := range providers {
		data, source, err := read(provider)
		if err != nil {
			fmt.Fprintf(os.Stderr, "metadata: %s: %v\n", provider, err)
			continue
		}
		if err := store(data, configFolder); err != nil {
			return err
		}
		fmt.Printf("metadata: %d bytes from %s\n", len(data), source)
		return nil
	}
	return errors.New("no provider had data")
}

func read(provider string) (data []byte, source string, err error) {
	if path, ok := strings.CutPrefix(provider, "file="); ok {
		data, err = readFile(path)
		return data, path, err
	}
	if provider != "cdrom" {
		return nil, "", errors.New("unknown provider")
	}
	// Drives are found by the kernel in its own time: early in a boot they may still be to come.
	for deadline := time.Now().Add(driveDeadline); ; time.Sleep(100 * time.Millisecond) {
		for _, device := range candidates() {
			if data, err := fromDisk(device); err == nil {
				return data, device, nil
			}
		}
		if time.Now().After(deadline) {
			return nil, "", errors.New("no disk has user-data")
		}
	}
}

// candidates are the block devices labelled cidata, then the CD-ROM drives.
func candidates() []string {
	devices, err := filepath.Glob("/sys/class/block/*")
	if err != nil {
		return nil
	}
	sort.Strings(devices)
	var labelled, drives []string
	for _, path := range devices {
		device := "/dev/" + filepath.Base(path)
		if strings.EqualFold(volumeLabel(device), "cidata") {
			labelled = append(labelled, device)
		} else if strings.HasPrefix(filepath.Base(path), "sr") {
			drives = append(drives, device)
		}
	}
	return append(labelled, drives...)
}

// volumeLabel reads the label of an ISO 9660 or FAT file system; empty for anything else.
func volumeLabel(device string) string {
	file, err := os.Open(device)
	if err != nil {
		return ""
	}
	defer file.Close()
	volume := make([]byte, 72)
	// ECMA-119, 8.4: the primary volume descriptor is sector 16; its identifier is at byte 40.
	if _, err := file.ReadAt(volume, 16*2048); err == nil && string(volume[:6]) == "\x01CD001" {
		return strings.TrimRight(string(volume[40:72]), " \x00")
	}
	boot := make([]byte, 90)
	if _, err := file.ReadAt(boot, 0); err == nil {
		for _, at := range []int{82, 54} {
			if strings.HasPrefix(string(boot[at:]), "FAT") {
				return strings.TrimRight(string(boot[at-11:at]), " \x00")
			}
		}
	}
	return ""
}

func fromDisk(device string) ([]byte, error) {
	if err := os.MkdirAll(mountPoint, 0o700); err != nil {
		return nil, err
	}
	var mountError error
	for _, kind := range []string{"iso9660", "vfat"} {
		if mountError = syscall.Mount(device, mountPoint, kind, syscall.MS_RDONLY, ""); mountError == nil {
			break
		}
	}
	if mountError != nil {
		return nil, mountError
	}
	defer syscall.Unmount(mountPoint, 0)
	data, err := readFile(filepath.Join(mountPoint, "user-data"))
	if os.IsNotExist(err) {
		data, err = readFile(filepath.Join(mountPoint, "config"))
	}
	return data, err
}

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > limit {
		return nil, fmt.Errorf("%s has %d bytes, at most %d are read", path, info.Size(), limit)
	}
	return os.ReadFile(path)
}

// node is one file or folder of the JSON form of user data.
type node struct {
	Perm    string          `json:"perm"`
	Content *string         `json:"content"`
	Entries map[string]node `json:"entries"`
}

// store keeps the data as it came, and lays out its tree when it is JSON.
func store(data []byte, folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, "userdata"), data, 0o600); err != nil {
		return err
	}
	var tree map[string]node
	if json.Unmarshal(data, &tree) != nil {
		return nil
	}
	if err := write(folder, tree); err != nil {
		return err
	}
	if name := tree["hostname"]; name.Content != nil {
		return syscall.Sethostname([]byte(strings.TrimSpace(*name.Content)))
	}
	return nil
}

func write(folder string, tree map[string]node) error {
	for name, entry := range tree {
		if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") {
			return fmt.Errorf("%q is no file name", name)
		}
		path := filepath.Join(folder, name)
		mode, err := permission(entry)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if entry.Content != nil {
			if err := os.WriteFile(path, []byte(*entry.Content), mode); err != nil {
				return err
			}
		} else {
			if err := os.MkdirAll(path, mode); err != nil {
				return err
			}
			if err := write(path, entry.Entries); err != nil {
				return err
			}
		}
		if err := os.Chmod(path, mode); err != nil {
			return err
		}
	}
	return nil
}

func permission(entry node) (os.FileMode, error) {
	if entry.Perm == "" {
		if entry.Content != nil {
			return 0o644, nil
		}
		return 0o755, nil
	}
	mode, err := strconv.ParseUint(entry.Perm, 8, 12)
	return os.FileMode(mode), err
}
