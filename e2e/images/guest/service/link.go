package main

import (
	"encoding/binary"
	"fmt"
	"syscall"
)

// Attributes of rtnetlink(7) that package syscall does not name.
const (
	iflaInfoKind = 1
	iflaInfoData = 2
	iflaLinkInfo = 18
	iflaNetNsPid = 19
	vethInfoPeer = 1
)

// attribute encodes one attribute of a netlink message, padded to four bytes.
func attribute(kind uint16, value []byte) []byte {
	length := syscall.SizeofRtAttr + len(value)
	encoded := make([]byte, (length+3)&^3)
	binary.NativeEndian.PutUint16(encoded, uint16(length))
	binary.NativeEndian.PutUint16(encoded[2:], kind)
	copy(encoded[syscall.SizeofRtAttr:], value)
	return encoded
}

func zeroTerminated(text string) []byte { return append([]byte(text), 0) }

func number(value int) []byte { return binary.NativeEndian.AppendUint32(nil, uint32(value)) }

// newLink is the body of a message that makes an interface of a kind; with a peer it makes a
// pair. pid, if not 0, is a process in whose network namespace the interface shall be.
func newLink(name, kind, peer string, pid int) []byte {
	info := attribute(iflaInfoKind, zeroTerminated(kind))
	if peer != "" {
		end := append(make([]byte, syscall.SizeofIfInfomsg), attribute(syscall.IFLA_IFNAME, zeroTerminated(peer))...)
		info = append(info, attribute(iflaInfoData, attribute(vethInfoPeer, end))...)
	}
	body := append(make([]byte, syscall.SizeofIfInfomsg), attribute(syscall.IFLA_IFNAME, zeroTerminated(name))...)
	body = append(body, attribute(iflaLinkInfo, info)...)
	if pid != 0 {
		body = append(body, attribute(iflaNetNsPid, number(pid))...)
	}
	return body
}

// addLink makes an interface.
func addLink(name, kind, peer string, pid int) error {
	flags := syscall.NLM_F_CREATE | syscall.NLM_F_EXCL
	if err := routeRequest(syscall.RTM_NEWLINK, flags, newLink(name, kind, peer, pid)); err != nil {
		return fmt.Errorf("making the %s interface %s: %w", kind, name, err)
	}
	return nil
}

// moveLink moves an interface to the network namespace of a process.
func moveLink(name string, pid int) error {
	body := append(make([]byte, syscall.SizeofIfInfomsg), attribute(syscall.IFLA_IFNAME, zeroTerminated(name))...)
	body = append(body, attribute(iflaNetNsPid, number(pid))...)
	if err := routeRequest(syscall.RTM_NEWLINK, 0, body); err != nil {
		return fmt.Errorf("moving the interface %s: %w", name, err)
	}
	return nil
}

// routeRequest sends one request to the kernel and returns what it answers.
func routeRequest(kind, flags int, body []byte) error {
	socket, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, syscall.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer syscall.Close(socket)
	message := make([]byte, syscall.SizeofNlMsghdr, syscall.SizeofNlMsghdr+len(body))
	binary.NativeEndian.PutUint32(message, uint32(syscall.SizeofNlMsghdr+len(body)))
	binary.NativeEndian.PutUint16(message[4:], uint16(kind))
	binary.NativeEndian.PutUint16(message[6:], uint16(flags|syscall.NLM_F_REQUEST|syscall.NLM_F_ACK))
	message = append(message, body...)
	if err := syscall.Sendto(socket, message, 0, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK}); err != nil {
		return err
	}
	answer := make([]byte, 8192)
	size, _, err := syscall.Recvfrom(socket, answer, 0)
	if err != nil {
		return err
	}
	replies, err := syscall.ParseNetlinkMessage(answer[:size])
	if err != nil {
		return err
	}
	for _, reply := range replies {
		if reply.Header.Type == syscall.NLMSG_ERROR {
			if code := int32(binary.NativeEndian.Uint32(reply.Data)); code != 0 {
				return syscall.Errno(-code)
			}
		}
	}
	return nil
}
