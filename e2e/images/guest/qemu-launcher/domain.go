package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// State of a machine, as control.go tells it.
const (
	stateStarting = "starting"
	// stateIncoming is a machine that waits for another's memory.
	stateIncoming = "incoming"
	stateRunning  = "running"
	// stateFailed is a machine that could not be started; its pod stays.
	stateFailed   = "failed"
	stateMigrated = "migrated"
)

const (
	pollInterval = 50 * time.Millisecond
	messageLimit = 2048
	emulator     = "/usr/bin/qemu-system-x86_64"
)

// domain is one machine under QEMU.
type domain struct {
	socket string

	mutex     sync.Mutex
	now       string
	message   string
	wasKilled bool
	process   *os.Process
	monitor   *monitor
	migration *migrationStatus
}

// start runs QEMU. The channel yields once, when it has ended.
func (d *domain) start(arguments []string) (<-chan error, error) {
	d.set(stateStarting, "")
	complaints := &tail{limit: messageLimit}
	command := exec.Command(emulator, append(append([]string{}, arguments...),
		"-qmp", "unix:"+d.socket+",server=on,wait=off")...)
	command.Stdout = os.Stderr
	command.Stderr = io.MultiWriter(os.Stderr, complaints)
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("cannot run QEMU: %w", err)
	}
	d.mutex.Lock()
	d.process = command.Process
	d.mutex.Unlock()

	ended := make(chan error, 1)
	over := make(chan struct{})
	go func() {
		err := command.Wait()
		close(over)
		if text := strings.TrimSpace(complaints.String()); err != nil && text != "" {
			err = errors.New(text)
		}
		if err == nil && d.state() == stateStarting {
			err = errors.New("QEMU ended before the machine ran")
		}
		ended <- err
	}()
	go d.follow(over)
	return ended, nil
}

// follow connects to the monitor and keeps the state true until QEMU ends.
func (d *domain) follow(over <-chan struct{}) {
	for {
		select {
		case <-over:
			return
		case <-time.After(pollInterval):
		}
		connection := d.connection()
		if connection == nil {
			opened, err := openMonitor(d.socket)
			if err != nil {
				continue
			}
			connection = opened
			d.mutex.Lock()
			d.monitor = opened
			d.mutex.Unlock()
		}
		var status struct{ Status string }
		if err := connection.execute("query-status", nil, &status); err != nil {
			continue
		}
		switch {
		case status.Status == "inmigrate":
			d.set(stateIncoming, "")
		case d.state() != stateMigrated:
			d.set(stateRunning, "")
			// Nothing more is to be learned by asking: migrations are followed by whoever starts them.
			return
		}
	}
}

func (d *domain) powerButton() error {
	connection := d.connection()
	if connection == nil || d.state() != stateRunning {
		return errors.New("the machine does not run yet")
	}
	return connection.execute("system_powerdown", nil, nil)
}

func (d *domain) kill() {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	d.wasKilled = true
	if d.process != nil {
		_ = d.process.Kill()
	}
}

func (d *domain) killed() bool {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	return d.wasKilled
}

func (d *domain) fail(err error) { d.set(stateFailed, err.Error()) }

func (d *domain) set(state, message string) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	d.now, d.message = state, message
}

func (d *domain) state() string {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	return d.now
}

func (d *domain) connection() *monitor {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	return d.monitor
}

// told is the machine's condition as JSON has it.
func (d *domain) told() ([]byte, error) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	return json.Marshal(struct {
		State     string           `json:"state"`
		Message   string           `json:"message,omitempty"`
		Migration *migrationStatus `json:"migration,omitempty"`
	}{d.now, d.message, d.migration})
}

// tail keeps the end of what is written to it.
type tail struct {
	limit int
	mutex sync.Mutex
	kept  bytes.Buffer
}

func (t *tail) Write(data []byte) (int, error) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.kept.Write(data)
	if excess := t.kept.Len() - t.limit; excess > 0 {
		t.kept.Next(excess)
	}
	return len(data), nil
}

func (t *tail) String() string {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	return t.kept.String()
}
