package main

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const followInterval = 100 * time.Millisecond

// follow copies a file to standard output as it grows, until SIGTERM; then what is left of it. It ends at
// once: the kubelet tells of a pod's end only when all its containers have ended.
func follow(path string) int {
	over := make(chan os.Signal, 1)
	signal.Notify(over, syscall.SIGTERM, syscall.SIGINT)
	file, err := os.OpenFile(path, os.O_RDONLY|os.O_CREATE, 0o644)
	if err != nil {
		fmt.Fprintf(os.Stderr, "qemu-launcher: %v\n", err)
		return exitFailed
	}
	defer file.Close()
	for {
		_, err := io.Copy(os.Stdout, file)
		if err != nil {
			fmt.Fprintf(os.Stderr, "qemu-launcher: %v\n", err)
			return exitFailed
		}
		select {
		case <-over:
			_, _ = io.Copy(os.Stdout, file)
			return 0
		case <-time.After(followInterval):
		}
	}
}
