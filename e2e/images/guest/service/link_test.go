package main

import (
	"bytes"
	"testing"
)

func TestNewLinkNamesBothEnds(t *testing.T) {
	body := newLink("inside", "veth", "outside", 0)
	if len(body)%4 != 0 {
		t.Errorf("%d bytes are not a multiple of four", len(body))
	}
	for _, part := range []string{"inside\x00", "veth\x00", "outside\x00"} {
		if bytes.Count(body, []byte(part)) != 1 {
			t.Errorf("%q does not occur once in %q", part, body)
		}
	}
}

func TestAttributeIsPadded(t *testing.T) {
	if got := attribute(3, []byte("abcde")); len(got) != 12 || got[0] != 9 || got[2] != 3 {
		t.Errorf("%v", got)
	}
}
