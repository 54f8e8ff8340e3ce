package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"
)

// mountSpec is one mount of a runtime.json.
type mountSpec struct {
	Destination string   `json:"destination"`
	Type        string   `json:"type"`
	Source      string   `json:"source"`
	Options     []string `json:"options"`
}

// runtimeSpec is what the builder wrote beside a bundle's config.json.
type runtimeSpec struct {
	Cgroups    []string        `json:"cgroups"`
	Mounts     []mountSpec     `json:"mounts"`
	Mkdir      []string        `json:"mkdir"`
	Interfaces []interfaceSpec `json:"interfaces"`
	BindNS     struct {
		Cgroup string `json:"cgroup"`
		Ipc    string `json:"ipc"`
		Mnt    string `json:"mnt"`
		Net    string `json:"net"`
		Pid    string `json:"pid"`
		User   string `json:"user"`
		Uts    string `json:"uts"`
	} `json:"bindNS"`
	Namespace string `json:"namespace"`
}

type interfaceSpec struct {
	Name         string `json:"name"`
	Add          string `json:"add"`
	Peer         string `json:"peer"`
	CreateInRoot bool   `json:"createInRoot"`
}

// bundle is one container as the builder laid it out.
type bundle struct {
	name    string
	folder  string
	runtime runtimeSpec
}

// bundles lists the containers of one folder in name order.
func bundles(folder string) ([]bundle, error) {
	entries, err := os.ReadDir(folder)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var found []bundle
	for _, entry := range entries {
		if !entry.IsDir() {
			continue
		}
		found = append(found, bundle{name: entry.Name(), folder: filepath.Join(folder, entry.Name())})
	}
	sort.Slice(found, func(i, j int) bool { return found[i].name < found[j].name })
	return found, nil
}

// prepare does what runtime.json asks for before the container exists.
func (b *bundle) prepare() error {
	text, err := os.ReadFile(filepath.Join(b.folder, "runtime.json"))
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	if err == nil {
		if err := json.Unmarshal(text, &b.runtime); err != nil {
			return fmt.Errorf("runtime.json: %w", err)
		}
	}
	for _, m := range b.runtime.Mounts {
		if err := os.MkdirAll(m.Destination, 0o755); err != nil {
			return err
		}
		for _, option := range m.Options {
			for _, key := range []string{"upperdir=", "workdir="} {
				if folder, ok := strings.CutPrefix(option, key); ok {
					if err := os.MkdirAll(folder, 0o755); err != nil {
						return err
					}
				}
			}
		}
		if err := mount(m); err != nil {
			return fmt.Errorf("mount %s: %w", m.Destination, err)
		}
	}
	for _, folder := range b.runtime.Mkdir {
		if !filepath.IsAbs(folder) {
			folder = filepath.Join(b.folder, "rootfs", folder)
		}
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
	}
	for _, group := range b.runtime.Cgroups {
		if err := makeCgroup(group); err != nil {
			return fmt.Errorf("cgroup %s: %w", group, err)
		}
	}
	return nil
}

func makeCgroup(name string) error {
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		return os.MkdirAll(filepath.Join("/sys/fs/cgroup", name), 0o755)
	}
	controllers, err := os.ReadDir("/sys/fs/cgroup")
	if err != nil {
		return err
	}
	for _, controller := range controllers {
		if err := os.MkdirAll(filepath.Join("/sys/fs/cgroup", controller.Name(), name), 0o755); err != nil {
			return err
		}
	}
	return nil
}

// attaches tells whether there is something to do for attach.
func (b *bundle) attaches() bool {
	return len(b.runtime.Interfaces) > 0 || b.runtime.BindNS != runtimeSpec{}.BindNS
}

// attach gives the created, not yet started container its interfaces and keeps its
// namespaces under the paths asked for.
func (b *bundle) attach(pid int) error {
	for _, link := range b.runtime.Interfaces {
		if err := attachInterface(link, pid); err != nil {
			return err
		}
	}
	kept := map[string]string{
		"cgroup": b.runtime.BindNS.Cgroup, "ipc": b.runtime.BindNS.Ipc, "mnt": b.runtime.BindNS.Mnt,
		"net": b.runtime.BindNS.Net, "pid": b.runtime.BindNS.Pid, "user": b.runtime.BindNS.User,
		"uts": b.runtime.BindNS.Uts,
	}
	for kind, path := range kept {
		if path == "" {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		file, err := os.OpenFile(path, os.O_CREATE, 0o644)
		if err != nil {
			return err
		}
		file.Close()
		if err := syscall.Mount("/proc/"+strconv.Itoa(pid)+"/ns/"+kind, path, "", syscall.MS_BIND, ""); err != nil {
			return fmt.Errorf("keeping the %s namespace at %s: %w", kind, path, err)
		}
	}
	return nil
}

// attachInterface gives an interface to a process's network namespace, made there if it is
// to be made. Of a pair the second end stays; some kinds must be made in the machine's own
// namespace and moved.
func attachInterface(link interfaceSpec, pid int) error {
	if link.Add != "" && link.Add != "veth" && !link.CreateInRoot {
		return addLink(link.Name, link.Add, "", pid)
	}
	if link.Add != "" {
		if err := addLink(link.Name, link.Add, link.Peer, 0); err != nil {
			return err
		}
	}
	return moveLink(link.Name, pid)
}

// release takes the root file system away again after the container's end.
func (b *bundle) release() {
	for i := len(b.runtime.Mounts) - 1; i >= 0; i-- {
		syscall.Unmount(b.runtime.Mounts[i].Destination, syscall.MNT_DETACH)
	}
}

// execute runs a program and returns its complaint as the error.
func execute(name string, args ...string) error {
	text, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(text)))
	}
	return nil
}
