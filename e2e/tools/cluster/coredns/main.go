// Command coredns is CoreDNS with the plugins that a cluster's resolver needs.
// The upstream command links every plugin there is, cloud providers and tracers
// included.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"

	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/hosts"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/loadbalance"
	_ "github.com/coredns/coredns/plugin/ready"
)

// Plugins run in this order whatever the order in the Corefile.
func init() {
	dnsserver.Directives = []string{"ready", "errors", "cache", "loadbalance", "hosts", "kubernetes"}
}

func main() {
	coremain.Run()
}
