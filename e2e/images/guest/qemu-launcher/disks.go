package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// disk is a raw image, made of nothing but holes where there is none.
type disk struct {
	Path string `json:"path"`
	Size int64  `json:"size"`
}

func (d disk) make() error {
	file, err := os.OpenFile(d.Path, os.O_RDWR|os.O_CREATE, 0o660)
	if err != nil {
		return fmt.Errorf("disk image: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("disk image: %w", err)
	}
	// One that is there holds somebody's data; it may only grow.
	if info.Size() >= d.Size {
		return nil
	}
	if err := file.Truncate(d.Size); err != nil {
		return fmt.Errorf("disk image: %w", err)
	}
	return nil
}

// iso is a CD-ROM with the files of some folders at its root.
type iso struct {
	Path    string   `json:"path"`
	Label   string   `json:"label"`
	Folders []string `json:"folders"`
	// CloudInit gives keys of KubeVirt's secrets the names that cloud-init reads.
	CloudInit bool `json:"cloudInit"`
}

var cloudInitNames = map[string]string{
	"userdata": "user-data", "userData": "user-data",
	"networkdata": "network-config", "networkData": "network-config",
}

func (i iso) make() error {
	staging, err := os.MkdirTemp(filepath.Dir(i.Path), "iso-")
	if err != nil {
		return fmt.Errorf("CD-ROM: %w", err)
	}
	defer os.RemoveAll(staging)
	for _, folder := range i.Folders {
		if err := i.copyFiles(folder, staging); err != nil {
			return fmt.Errorf("CD-ROM: %w", err)
		}
	}
	command := exec.Command("/usr/bin/genisoimage",
		"-quiet", "-volid", i.Label, "-joliet", "-rock", "-o", i.Path, staging)
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("CD-ROM: genisoimage: %w: %s", err, strings.TrimSpace(string(output)))
	}
	return nil
}

func (i iso) copyFiles(folder, staging string) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		// Kubernetes keeps the data of a volume in a folder of its own, `..data`, and links to it.
		path := filepath.Join(folder, entry.Name())
		if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
			continue
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name := entry.Name()
		if known, ok := cloudInitNames[name]; ok && i.CloudInit {
			name = known
		}
		if err := os.WriteFile(filepath.Join(staging, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}
