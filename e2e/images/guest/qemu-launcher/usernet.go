package main

import (
	"regexp"
	"strconv"
)

// A line of `info usernet`: protocol and state, file, the address and port on our side, the guest's.
var usernetLine = regexp.MustCompile(`(?m)^\s*TCP\[([A-Z_0-9]+)\]\s+\S+\s+(\S+)\s+(\d+)\s+\S+\s+\d+\s`)

// accepted reports whether the table has a connection to that address and port on our side
// that the guest has answered.
func accepted(table, address string, port uint16) bool {
	for _, line := range usernetLine.FindAllStringSubmatch(table, -1) {
		if line[2] != address || line[3] != strconv.Itoa(int(port)) {
			continue
		}
		switch line[1] {
		case "ESTABLISHED", "CLOSE_WAIT", "FIN_WAIT_1", "FIN_WAIT_2", "LAST_ACK", "CLOSING":
			return true
		}
	}
	return false
}
