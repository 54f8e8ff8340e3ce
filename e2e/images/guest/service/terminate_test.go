package main

import "testing"

func TestParseStatus(t *testing.T) {
	cases := []struct {
		name, status string
		counts, deaf bool
	}{
		{"ordinary", "State:\tS (sleeping)\nPPid:\t1\nNSpid:\t40\nSigCgt:\t0000000000000000\n", true, false},
		{"first of a container, deaf", "State:\tS\nPPid:\t30\nNSpid:\t40\t1\nSigCgt:\t0000000000000000\n", true, true},
		{"first of a container, listening", "State:\tS\nPPid:\t30\nNSpid:\t40\t1\nSigCgt:\t0000000000004000\n", true, false},
		{"kernel thread", "State:\tI (idle)\nPPid:\t2\nNSpid:\t40\n", false, false},
		{"zombie", "State:\tZ (zombie)\nPPid:\t1\nNSpid:\t40\n", false, false},
	}
	for _, c := range cases {
		p, counts := parseStatus(40, c.status)
		if counts != c.counts || p.deaf != c.deaf {
			t.Errorf("%s: counts %v, deaf %v", c.name, counts, p.deaf)
		}
	}
}
