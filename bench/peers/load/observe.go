package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

const clockTicksPerSecond = 100 // USER_HZ, fixed on Linux

// observer knows how many cores broker, client and the rest of the machine keep busy between start and report.
type observer struct {
	pid                  int
	began                time.Time
	broker, client, busy float64
}

func observe(pid int) observer {
	forgetPeakMemory(pid)
	return observer{pid, time.Now(), cpuSeconds(pid), cpuSeconds(os.Getpid()), machineBusySeconds()}
}

func (o observer) report(r result) {
	elapsed := time.Since(o.began).Seconds()
	client := cpuSeconds(os.Getpid()) - o.client
	busy := machineBusySeconds() - o.busy
	broker := cpuSeconds(o.pid) - o.broker
	r["client_cpu"] = client / elapsed
	r["other_cpu"] = max(0, busy-client-broker) / elapsed
	if o.pid != 0 {
		r["broker_cpu"] = broker / elapsed
		r["broker_rss_mb"], r["broker_peak_rss_mb"] = memoryMB(o.pid, "VmRSS:"), memoryMB(o.pid, "VmHWM:")
	}
}

// window observes from one moment to another and waits for both.
func window(o *options, from, until time.Time, out result) {
	time.Sleep(time.Until(from))
	observed := observe(o.pid)
	time.Sleep(time.Until(until))
	observed.report(out)
}

// forgetPeakMemory makes VmHWM the peak since now (proc(5), clear_refs). Not ours to write to: then it stays the peak since the start.
func forgetPeakMemory(pid int) {
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0)
}

func cpuSeconds(pid int) float64 {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// Fields are counted after the command name, which may hold spaces: utime and stime are the 12th and 13th.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	return ticks(fields[11]) + ticks(fields[12])
}

func machineBusySeconds() float64 {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	f := strings.Fields(strings.SplitN(string(stat), "\n", 2)[0]) // cpu user nice system idle iowait irq softirq ...
	return ticks(f[1]) + ticks(f[2]) + ticks(f[3]) + ticks(f[6]) + ticks(f[7])
}

func ticks(field string) float64 {
	n, _ := strconv.ParseFloat(field, 64)
	return n / clockTicksPerSecond
}

func memoryMB(pid int, key string) float64 {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, key); ok {
			kb, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kb / 1024
		}
	}
	return 0
}
