// Command service is the part of a LinuxKit guest that starts its containers.
//
// It is one program with several names, as the init system calls it:
//
//	/init                          turns the initramfs into a root that containers can pivot out of
//	/etc/init.d/005-volumes        mounts the volumes
//	/etc/init.d/010-onboot         runs the onboot containers one after another, by runc
//	/etc/init.d/020-containerd     starts containerd and the services
//	/etc/shutdown.d/010-onshutdown runs the onshutdown containers
//	service logger                 carries a service's output, started by containerd's shim
//	service terminate              ends every process at shutdown
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	name := filepath.Base(os.Args[0])
	if name == "service" && len(os.Args) > 1 {
		name = os.Args[1]
	}
	var err error
	switch name {
	case "init":
		err = enterRoot()
	case "005-volumes", "volumes":
		err = mountVolumes("/containers/volumes")
	case "010-onboot", "onboot":
		err = runToCompletion("/containers/onboot", "onboot")
	case "010-onshutdown", "onshutdown":
		err = runToCompletion("/containers/onshutdown", "shutdown")
	case "020-containerd", "containerd":
		err = startServices("/containers/services")
	case "logger":
		err = serveLogger()
	case "terminate":
		err = terminate()
	default:
		err = fmt.Errorf("unknown name %q", name)
	}
	if err != nil {
		report("%s: %v", name, err)
		os.Exit(1)
	}
}
