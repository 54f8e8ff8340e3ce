// Command cosign is sigstore's cosign without the plugins for key management
// services, which cost minutes of compilation and are of no use here. Tests sign
// with it what the build verifies.
package main

import (
	"log"

	"github.com/sigstore/cosign/v3/cmd/cosign/cli"
)

func main() {
	if err := cli.New().Execute(); err != nil {
		log.Fatalf("error: %v", err)
	}
}
