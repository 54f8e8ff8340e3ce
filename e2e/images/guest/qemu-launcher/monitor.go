package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"sync"
	"time"
)

const monitorDeadline = 5 * time.Second

// monitor is a connection to QEMU's machine protocol (QMP): one question at a time.
type monitor struct {
	mutex      sync.Mutex
	connection net.Conn
	answers    *bufio.Scanner
}

func openMonitor(path string) (*monitor, error) {
	connection, err := net.DialTimeout("unix", path, monitorDeadline)
	if err != nil {
		return nil, err
	}
	answers := bufio.NewScanner(connection)
	answers.Buffer(make([]byte, 64*1024), 4*1024*1024)
	opened := &monitor{connection: connection, answers: answers}
	if err := opened.execute("qmp_capabilities", nil, nil); err != nil {
		connection.Close()
		return nil, err
	}
	return opened, nil
}

// execute sends a command and reads its answer into result; events in between are passed over.
func (m *monitor) execute(command string, arguments, result any) error {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	_ = m.connection.SetDeadline(time.Now().Add(monitorDeadline))
	request := map[string]any{"execute": command}
	if arguments != nil {
		request["arguments"] = arguments
	}
	text, err := json.Marshal(request)
	if err != nil {
		return err
	}
	if _, err := m.connection.Write(append(text, '\n')); err != nil {
		return err
	}
	for m.answers.Scan() {
		var answer struct {
			Return json.RawMessage `json:"return"`
			Error  *struct {
				Desc string `json:"desc"`
			} `json:"error"`
		}
		if err := json.Unmarshal(m.answers.Bytes(), &answer); err != nil {
			return fmt.Errorf("%s: %w", command, err)
		}
		if answer.Error != nil {
			return fmt.Errorf("%s: %s", command, answer.Error.Desc)
		}
		if answer.Return == nil {
			// The greeting, or an event.
			continue
		}
		if result == nil {
			return nil
		}
		return json.Unmarshal(answer.Return, result)
	}
	return fmt.Errorf("%s: the monitor has gone: %v", command, m.answers.Err())
}

// human runs a command of the monitor for people, which knows what QMP does not tell.
func (m *monitor) human(line string) (string, error) {
	var text string
	err := m.execute("human-monitor-command", map[string]any{"command-line": line}, &text)
	return text, err
}
