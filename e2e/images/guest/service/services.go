package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	containerd       = "/usr/bin/containerd"
	ctr              = "/usr/bin/ctr"
	containerdSocket = "/run/containerd/containerd.sock"
	settingsFile     = "/etc/containerd/runtime-config.toml"
	// defaultNamespace is containerd's namespace for services that name none.
	defaultNamespace = "services.linuxkit"
	startDeadline    = 120 * time.Second
)

// startServices starts containerd, and with it each container of a folder in name order.
// One that does not start is reported, and the next one has its turn.
func startServices(folder string) error {
	settings, err := readSettings(settingsFile)
	if err != nil {
		return err
	}
	if err := startContainerd(settings); err != nil {
		return err
	}
	services, err := bundles(folder)
	if err != nil {
		return err
	}
	for i := range services {
		if err := startService(&services[i]); err != nil {
			report("service %s: %v", services[i].name, err)
		}
	}
	return nil
}

func startService(b *bundle) error {
	if err := b.prepare(); err != nil {
		return err
	}
	spec, err := hostSpec(b)
	if err != nil {
		return err
	}
	namespace := b.runtime.Namespace
	if namespace == "" {
		namespace = defaultNamespace
	}
	pidFile := filepath.Join("/run/containers", "service."+b.name+".pid")
	// The logger is a program that the shim runs; it outlives this one and ends with the task.
	logger := "binary:///usr/bin/service?logger=" + b.name
	err = execute(ctr, "--namespace", namespace, "run", "--detach", "--config", spec,
		"--pid-file", pidFile, "--log-uri", logger, b.name)
	if err != nil {
		return err
	}
	// ctr has no step between creating a task and starting it: a service that is given
	// interfaces must wait for them by itself.
	pid, err := readPid(pidFile)
	if err != nil {
		return err
	}
	return b.attach(pid)
}

// hostSpec writes the config.json with the path of the root file system made absolute:
// containerd runs the bundle from a folder of its own.
func hostSpec(b *bundle) (string, error) {
	text, err := os.ReadFile(filepath.Join(b.folder, "config.json"))
	if err != nil {
		return "", err
	}
	var spec map[string]any
	if err := json.Unmarshal(text, &spec); err != nil {
		return "", fmt.Errorf("config.json: %w", err)
	}
	root, ok := spec["root"].(map[string]any)
	if !ok {
		return "", errors.New("config.json has no root")
	}
	if path, ok := root["path"].(string); ok && !filepath.IsAbs(path) {
		root["path"] = filepath.Join(b.folder, path)
	}
	text, err = json.Marshal(spec)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll("/run/containers", 0o755); err != nil {
		return "", err
	}
	path := filepath.Join("/run/containers", "service."+b.name+".json")
	return path, os.WriteFile(path, text, 0o600)
}

// settings are the few of containerd's start that an image may change.
type settings struct {
	options        []string
	stdout, stderr string
}

// readSettings reads lines of the form `key = "value"`; an absent file means no settings.
func readSettings(path string) (settings, error) {
	read := settings{stdout: "/run/log/containerd.out.log", stderr: "/run/log/containerd.log"}
	text, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return read, nil
	}
	if err != nil {
		return read, err
	}
	for number, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, quoted, ok := strings.Cut(line, "=")
		value, err := strconv.Unquote(strings.TrimSpace(quoted))
		if !ok || err != nil {
			return read, fmt.Errorf("%s:%d: expected key = \"value\"", path, number+1)
		}
		switch strings.TrimSpace(key) {
		case "cliopts":
			read.options = strings.Fields(value)
		case "stdout":
			read.stdout = value
		case "stderr":
			read.stderr = value
		}
	}
	return read, nil
}

// startContainerd starts the daemon in a session of its own and returns when it answers.
func startContainerd(s settings) error {
	command := exec.Command(containerd, s.options...)
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	for path, set := range map[string]func(*os.File){
		s.stdout: func(f *os.File) { command.Stdout = f },
		s.stderr: func(f *os.File) { command.Stderr = f },
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		defer file.Close()
		set(file)
	}
	if err := command.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	deadline := time.After(startDeadline)
	for {
		if connection, err := net.Dial("unix", containerdSocket); err == nil {
			connection.Close()
			return nil
		}
		select {
		case err := <-ended:
			return fmt.Errorf("containerd ended at once (%v), see %s", err, s.stderr)
		case <-deadline:
			return fmt.Errorf("containerd did not listen on %s within %s, see %s", containerdSocket, startDeadline, s.stderr)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
