package main

import (
	"errors"
	"fmt"
	"time"
)

// migrationStatus is as QEMU's query-migrate has it: active, completed, failed, cancelled.
type migrationStatus struct {
	Status      string `json:"status"`
	Transferred int64  `json:"transferred"`
	Total       int64  `json:"total"`
	Message     string `json:"message,omitempty"`
}

// migrate sends the machine to a QEMU that waits for it. When its memory is over there, it ends here.
func (d *domain) migrate(to string, bandwidth int64, block bool) error {
	connection := d.connection()
	if connection == nil || d.state() != stateRunning {
		return errors.New("the machine does not run")
	}
	if bandwidth > 0 {
		limit := map[string]any{"max-bandwidth": bandwidth}
		if err := connection.execute("migrate-set-parameters", limit, nil); err != nil {
			return err
		}
	}
	arguments := map[string]any{"uri": "tcp:" + to}
	if block {
		arguments["blk"] = true
	}
	if err := connection.execute("migrate", arguments, nil); err != nil {
		return err
	}
	d.setMigration(&migrationStatus{Status: "active"})
	go d.followMigration(connection)
	return nil
}

func (d *domain) cancelMigration() error {
	connection := d.connection()
	if connection == nil {
		return errors.New("the machine does not run")
	}
	return connection.execute("migrate_cancel", nil, nil)
}

func (d *domain) followMigration(connection *monitor) {
	for range time.Tick(pollInterval) {
		var answer struct {
			Status    string `json:"status"`
			ErrorDesc string `json:"error-desc"`
			RAM       struct {
				Transferred int64 `json:"transferred"`
				Total       int64 `json:"total"`
			} `json:"ram"`
		}
		if err := connection.execute("query-migrate", nil, &answer); err != nil {
			d.setMigration(&migrationStatus{Status: "failed", Message: fmt.Sprint(err)})
			return
		}
		d.setMigration(&migrationStatus{
			Status: answer.Status, Message: answer.ErrorDesc,
			Transferred: answer.RAM.Transferred, Total: answer.RAM.Total,
		})
		switch answer.Status {
		case "completed":
			d.set(stateMigrated, "")
			_ = connection.execute("quit", nil, nil)
			return
		case "failed", "cancelled":
			return
		}
	}
}

func (d *domain) setMigration(status *migrationStatus) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	d.migration = status
}
