package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestDisksGrowAndNeverShrink(t *testing.T) {
	path := filepath.Join(t.TempDir(), "disk.img")
	for _, step := range []struct{ asked, want int64 }{{4096, 4096}, {1024, 4096}, {8192, 8192}} {
		if err := (disk{Path: path, Size: step.asked}).make(); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() != step.want {
			t.Errorf("asked for %d: %d", step.asked, info.Size())
		}
	}
}

func TestIsoTakesTheFilesOfAVolumeAndNamesThemForCloudInit(t *testing.T) {
	volume, staging := t.TempDir(), t.TempDir()
	// As the kubelet lays a volume out.
	if err := os.Mkdir(filepath.Join(volume, "..data"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"userdata", "meta-data"} {
		if err := os.WriteFile(filepath.Join(volume, "..data", name), []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join("..data", name), filepath.Join(volume, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := (iso{CloudInit: true}).copyFiles(volume, staging); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"user-data": "userdata", "meta-data": "meta-data"} {
		content, err := os.ReadFile(filepath.Join(staging, name))
		if err != nil || string(content) != want {
			t.Errorf("%s: %q, %v", name, content, err)
		}
	}
}
