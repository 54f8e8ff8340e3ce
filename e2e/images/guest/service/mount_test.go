package main

import (
	"syscall"
	"testing"
)

func TestParseOptions(t *testing.T) {
	flags, changes, data := parseOptions([]string{"nosuid", "ro", "rw", "rbind", "rshared", "size=10m", "mode=755"})
	if flags != syscall.MS_NOSUID|syscall.MS_BIND|syscall.MS_REC {
		t.Errorf("flags %x", flags)
	}
	if len(changes) != 1 || changes[0] != syscall.MS_SHARED|syscall.MS_REC {
		t.Errorf("changes %x", changes)
	}
	if data != "size=10m,mode=755" {
		t.Errorf("data %q", data)
	}
}
