package main

import (
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// fsyncLimit appends o.size bytes and waits for the disk, over and over: what one log with a sync per append can do.
func fsyncLimit(o *options) (result, error) {
	file, err := os.CreateTemp(o.dir, "fsync-")
	if err != nil {
		return nil, err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	var samples latencies
	data := text()[:o.size]
	began := time.Now()
	for sent := began; sent.Sub(began) < o.seconds; {
		if _, err := file.Write(data); err != nil {
			return nil, err
		}
		if err := syscall.Fdatasync(int(file.Fd())); err != nil {
			return nil, err
		}
		now := time.Now()
		samples.add(now.Sub(sent))
		sent = now
	}
	out := result{}
	out.rates(len(samples), o.size, time.Since(began))
	samples.report(out)
	return out, nil
}

const messageBytes = 64

// loopbackLimit streams 1 MiB writes one way for half the time and exchanges small messages for the other half.
func loopbackLimit(o *options) (result, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer listener.Close()
	received := make(chan int64)
	go serveLoopback(listener, received)
	out := result{}
	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		return nil, err
	}
	data := text()[:1<<20]
	began := time.Now()
	for time.Since(began) < o.seconds/2 {
		if _, err := client.Write(data); err != nil {
			return nil, err
		}
	}
	client.Close()
	out["mb_s"] = float64(<-received) / 1e6 / time.Since(began).Seconds()
	if client, err = net.Dial("tcp", listener.Addr().String()); err != nil {
		return nil, err
	}
	defer client.Close()
	var samples latencies
	message := make([]byte, messageBytes)
	for began = time.Now(); time.Since(began) < o.seconds/2; {
		sent := time.Now()
		if _, err := client.Write(message); err != nil {
			return nil, err
		}
		if _, err := io.ReadFull(client, message); err != nil {
			return nil, err
		}
		samples.add(time.Since(sent))
	}
	out["round_trip_us"] = time.Since(began).Seconds() * 1e6 / float64(len(samples))
	samples.report(out)
	return out, nil
}

// serveLoopback swallows what the first connection sends and echoes the messages of the second. Its errors are the client's too.
func serveLoopback(listener net.Listener, received chan<- int64) {
	sink, err := listener.Accept()
	if err != nil {
		return
	}
	n, _ := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{sink}, make([]byte, 1<<20))
	received <- n
	echo, err := listener.Accept()
	if err != nil {
		return
	}
	message := make([]byte, messageBytes)
	for err == nil {
		if _, err = io.ReadFull(echo, message); err == nil {
			_, err = echo.Write(message)
		}
	}
}
