package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"
)

// tick is the unit of CPU times in /proc: USER_HZ, which is 100 on every Linux that Go runs on.
const tick = 10 * time.Millisecond

// cpu returns the user and system time of two processes so far (proc(5), /proc/PID/stat, fields 14
// and 15).
func cpu(pid, other int) (time.Duration, time.Duration, error) {
	first, err := cpuOf(pid)
	if err != nil {
		return 0, 0, err
	}
	second, err := cpuOf(other)
	return first, second, err
}

func cpuOf(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("%w (hint: the race needs Linux)", err)
	}
	// The second field, the program's name, may hold spaces; it ends at the last parenthesis.
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	user, err := strconv.ParseInt(string(fields[11]), 10, 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseInt(string(fields[12]), 10, 64)
	return time.Duration(user+system) * tick, err
}

// peakRSS returns the most memory that a process has had resident, in MB (proc(5), VmHWM).
func peakRSS(pid int) (int, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, rest, found := bytes.Cut(b, []byte("VmHWM:"))
	if !found {
		return 0, fmt.Errorf("no VmHWM of process %d", pid)
	}
	kb, err := strconv.Atoi(string(bytes.Fields(rest)[0]))
	return kb / 1000, err
}
