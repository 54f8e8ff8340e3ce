package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

var probes atomic.Uint32

// serveControl answers on every address of the pod, to whoever asks: this is for test clusters.
//
//	GET  /domain          {"state", "message", "migration": {"status", "transferred", "total"}}
//	GET  /tcp/PORT        200 if the guest accepts connections on PORT, else 503
//	POST /migrate?to=HOST:PORT[&bandwidth=BYTES][&block=true]
//	POST /migrate/cancel
func serveControl(port int, machine *domain) error {
	listener, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
	if err != nil {
		return err
	}
	answers := http.NewServeMux()
	answers.HandleFunc("GET /domain", func(w http.ResponseWriter, _ *http.Request) {
		text, err := machine.told()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("content-type", "application/json")
		_, _ = w.Write(text)
	})
	answers.HandleFunc("GET /tcp/{port}", func(w http.ResponseWriter, r *http.Request) {
		guest, err := strconv.ParseUint(r.PathValue("port"), 10, 16)
		if err != nil {
			http.Error(w, "not a port", http.StatusBadRequest)
			return
		}
		if err := machine.probe(r.Context(), uint16(guest)); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	})
	answers.HandleFunc("POST /migrate", func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		bandwidth, _ := strconv.ParseInt(query.Get("bandwidth"), 10, 64)
		if err := machine.migrate(query.Get("to"), bandwidth, query.Get("block") == "true"); err != nil {
			http.Error(w, err.Error(), http.StatusConflict)
		}
	})
	answers.HandleFunc("POST /migrate/cancel", func(w http.ResponseWriter, _ *http.Request) {
		if err := machine.cancelMigration(); err != nil {
			http.Error(w, err.Error(), http.StatusConflict)
		}
	})
	server := &http.Server{Handler: answers, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = server.Serve(listener) }()
	return nil
}

// probe asks whether the guest accepts connections on a TCP port.
//
// A connection to a forwarded port succeeds as soon as QEMU runs: QEMU accepts it before it asks the guest.
// So one is opened, and QEMU's own table of connections tells whether the guest has accepted it too. Every
// probe goes to a loopback address of its own, by which the table tells it from those before.
func (d *domain) probe(ctx context.Context, port uint16) error {
	connection := d.connection()
	if connection == nil || d.state() != stateRunning {
		return errors.New("the machine does not run")
	}
	number := probes.Add(1)
	address := fmt.Sprintf("127.1.%d.%d", number>>8&0xff, number&0xff)
	var dialer net.Dialer
	opened, err := dialer.DialContext(ctx, "tcp4", fmt.Sprintf("%s:%d", address, port))
	if err != nil {
		return fmt.Errorf("port %d is not forwarded to the guest: %w", port, err)
	}
	defer opened.Close()
	for {
		table, err := connection.human("info usernet")
		if err != nil {
			return err
		}
		if accepted(table, address, port) {
			return nil
		}
		if closed(opened) {
			return fmt.Errorf("the guest refuses connections on port %d", port)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the guest accepted no connection on port %d in time", port)
		case <-time.After(pollInterval):
		}
	}
}

// closed reports whether the other side has ended the connection.
func closed(connection net.Conn) bool {
	_ = connection.SetReadDeadline(time.Now().Add(time.Millisecond))
	_, err := connection.Read(make([]byte, 1))
	timeout, ok := err.(net.Error)
	return err != nil && !(ok && timeout.Timeout())
}
