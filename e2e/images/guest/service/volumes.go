package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// mountVolumes lays a writable file system over each volume's content; a volume that came
// without a tmp folder can only be read.
func mountVolumes(folder string) error {
	entries, err := os.ReadDir(folder)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if err := mountVolume(filepath.Join(folder, entry.Name())); err != nil {
			report("volume %s: %v", entry.Name(), err)
		}
	}
	return nil
}

func mountVolume(volume string) error {
	lower, merged, tmp := filepath.Join(volume, "lower"), filepath.Join(volume, "merged"), filepath.Join(volume, "tmp")
	for _, needed := range []string{lower, merged} {
		if info, err := os.Stat(needed); err != nil || !info.IsDir() {
			return fmt.Errorf("%s is missing", needed)
		}
	}
	if _, err := os.Stat(tmp); os.IsNotExist(err) {
		return mount(mountSpec{Source: lower, Destination: merged, Options: []string{"bind", "ro"}})
	}
	if err := mount(mountSpec{Source: "tmpfs", Destination: tmp, Type: "tmpfs"}); err != nil {
		return err
	}
	upper, work := filepath.Join(tmp, "upper"), filepath.Join(tmp, "work")
	for _, made := range []string{upper, work} {
		if err := os.MkdirAll(made, 0o755); err != nil {
			return err
		}
	}
	return mount(mountSpec{
		Source: "overlay", Destination: merged, Type: "overlay",
		Options: []string{"lowerdir=" + lower, "upperdir=" + upper, "workdir=" + work},
	})
}
