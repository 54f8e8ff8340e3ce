package main

import (
	"os"
	"path/filepath"
	"sync"
)

// serveLogger carries a task's output. containerd's shim starts it with the task's standard
// output, standard error, and a pipe to be closed when it is ready, as descriptors 3, 4 and 5.
func serveLogger() error {
	name := os.Getenv("CONTAINER_ID")
	log := openOutput(name, filepath.Join("/run/log", name+".log"))
	var copied sync.WaitGroup
	for _, descriptor := range []uintptr{3, 4} {
		copied.Add(1)
		go func() {
			defer copied.Done()
			log.copy(os.NewFile(descriptor, "output"))
		}()
	}
	if err := os.NewFile(5, "ready").Close(); err != nil {
		return err
	}
	copied.Wait()
	return nil
}
