package main

import "testing"

const usernetTable = `Hub -1 (pod):
  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ
  TCP[ESTABLISHED]   24       127.1.0.1    80        10.0.2.2    80     0     0
  TCP[SYN_SENT]      25       127.1.0.2    80        10.0.2.2    80     0     0
  TCP[ESTABLISHED]   26      10.244.0.9    80        10.0.2.2    80     0     0
  TCP[HOST_FORWARD]  13             *    80        10.0.2.2    80     0     0
  UDP[232 sec]       45      10.0.2.2 38000       10.0.2.3    53     0     0
`

func TestAccepted(t *testing.T) {
	for _, each := range []struct {
		name, address string
		port          uint16
		want          bool
	}{
		{"answered by the guest", "127.1.0.1", 80, true},
		{"asked, and not answered yet", "127.1.0.2", 80, false},
		{"on another port", "127.1.0.1", 81, false},
		{"the forwarding itself", "*", 80, false},
		{"not there", "127.1.0.3", 80, false},
	} {
		if got := accepted(usernetTable, each.address, each.port); got != each.want {
			t.Errorf("%s: %v", each.name, got)
		}
	}
}
