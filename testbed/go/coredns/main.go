// Command coredns answers for Services inside the bed: CoreDNS with the few plugins that takes.
package main

import (
	"github.com/coredns/coredns/coremain"

	// Plugins register themselves; a Corefile can name these and no others.
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/ready"
)

func main() { coremain.Run() }
