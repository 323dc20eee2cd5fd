// The Go clients against the broker at an address: clients franz-go|sarama|kafka-go[-groups] HOST:PORT.
package main

import (
	"fmt"
	"os"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: clients franz-go|sarama|kafka-go[-groups] HOST:PORT")
		os.Exit(2)
	}
	client, address := os.Args[1], os.Args[2]
	switch client {
	case "franz-go":
		runAll(client, franzCases(address))
	case "franz-go-groups":
		runAll(client, franzGroupCases(address))
	case "sarama-groups":
		runAll(client, saramaGroupCases(address))
	case "kafka-go-groups":
		runAll(client, kafkaGoGroupCases(address))
	case "sarama":
		runAll(client, saramaCases(address))
	case "kafka-go":
		runAll(client, kafkaGoCases(address))
	default:
		fmt.Fprintln(os.Stderr, "no such client:", client)
		os.Exit(2)
	}
}
