package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestStoreLaysOutTheTree(t *testing.T) {
	folder := t.TempDir()
	data := `{"ssh":{"perm":"0700","entries":{"keys":{"perm":"0600","content":"k"}}},"motd":{"content":"m"}}`
	if err := store([]byte(data), folder); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]struct {
		text string
		mode os.FileMode
	}{"ssh/keys": {"k", 0o600}, "motd": {"m", 0o644}, "userdata": {data, 0o600}} {
		text, err := os.ReadFile(filepath.Join(folder, path))
		if err != nil || string(text) != want.text {
			t.Errorf("%s: %q, %v", path, text, err)
		}
		if info, err := os.Stat(filepath.Join(folder, path)); err != nil || info.Mode().Perm() != want.mode {
			t.Errorf("%s: %v, %v", path, info, err)
		}
	}
}

func TestStoreKeepsWhatIsNotJSON(t *testing.T) {
	folder := t.TempDir()
	if err := store([]byte("#cloud-config\n"), folder); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(folder, "userdata")); err != nil || string(text) != "#cloud-config\n" {
		t.Errorf("%q, %v", text, err)
	}
}

func TestStoreRefusesNamesThatEscape(t *testing.T) {
	for _, name := range []string{"..", ".", "", "a/b"} {
		err := store([]byte(`{"`+name+`":{"content":"x"}}`), t.TempDir())
		if err == nil || !strings.Contains(err.Error(), "no file name") {
			t.Errorf("%q: %v", name, err)
		}
	}
}
