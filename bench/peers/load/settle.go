package main

import (
	"os"
	"syscall"
	"time"
)

const (
	quietCores     = 0.15
	quietWindow    = time.Second
	pageCacheBytes = 2 << 30
)

// settle takes the lock, which the process holds until it ends, and gives the machine time to come to rest.
func settle(o *options) error {
	if o.lock != "" {
		file, err := os.OpenFile(o.lock, os.O_CREATE|os.O_RDWR, 0o666)
		if err != nil {
			return err
		}
		if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
			return err
		}
		heldLock = file
	}
	if o.settle == 0 {
		return nil
	}
	syscall.Sync() // what the run before left to be written is not this run's
	if err := touchMemory(); err != nil {
		return err
	}
	for deadline := time.Now().Add(o.settle); time.Now().Before(deadline); {
		before := machineBusySeconds()
		time.Sleep(quietWindow)
		if machineBusySeconds()-before < quietCores*quietWindow.Seconds() {
			break
		}
	}
	return nil
}

var heldLock *os.File // or the collector would close it

// touchMemory has memory ready for the page cache: in a virtual machine the first touch of a page is slow.
func touchMemory() error {
	memory, err := syscall.Mmap(-1, 0, pageCacheBytes, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		return err
	}
	for at := 0; at < len(memory); at += 4096 {
		memory[at] = 1
	}
	return syscall.Munmap(memory)
}
