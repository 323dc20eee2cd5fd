package main

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Versions that still name topics; later ones need their ids.
const (
	maxProduceVersion = 12
	maxFetchVersion   = 12
	maxOffsetsVersion = 9 // of OffsetCommit and OffsetFetch
)

// conn is one connection to a broker and the buffers of its requests and responses.
type conn struct {
	net.Conn
	in        *bufio.Reader
	formatter *kmsg.RequestFormatter
	body      []byte
	versions  map[int16]int16
}

func dial(o *options) (*conn, error) {
	socket, err := net.Dial("tcp", strings.Split(o.brokers, ",")[0])
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: socket, in: bufio.NewReaderSize(socket, 1<<16), versions: map[int16]int16{}}
	c.formatter = kmsg.NewRequestFormatter(kmsg.FormatterClientID("load"))
	response, err := c.ask(kmsg.NewPtrApiVersionsRequest())
	if err != nil {
		return nil, err
	}
	for _, key := range response.(*kmsg.ApiVersionsResponse).ApiKeys {
		c.versions[key.ApiKey] = key.MaxVersion
	}
	return c, nil
}

func dialMany(o *options, count int) ([]*conn, error) {
	conns := make([]*conn, 0, count)
	for range count {
		c, err := dial(o)
		if err != nil {
			closeAll(conns)
			return nil, err
		}
		conns = append(conns, c)
	}
	return conns, nil
}

func closeAll(conns []*conn) {
	for _, c := range conns {
		c.Close()
	}
}

func (c *conn) version(api, atMost int16) int16 { return min(c.versions[api], atMost) }

func (c *conn) ask(request kmsg.Request) (kmsg.Response, error) {
	if _, err := c.Write(c.formatter.AppendRequest(nil, request, 0)); err != nil {
		return nil, err
	}
	response := request.ResponseKind()
	return response, c.receive(response)
}

// askNewest asks in the newest version that the broker knows, up to one.
func (c *conn) askNewest(request kmsg.Request, atMost int16) (kmsg.Response, error) {
	request.SetVersion(c.version(request.Key(), atMost))
	return c.ask(request)
}

// receive reads the next response; it may refer to the connection's buffer, which the next receive overwrites.
func (c *conn) receive(response kmsg.Response) error {
	var size [4]byte
	if _, err := io.ReadFull(c.in, size[:]); err != nil {
		return err
	}
	length := int(binary.BigEndian.Uint32(size[:]))
	if cap(c.body) < length {
		c.body = make([]byte, length)
	}
	c.body = c.body[:length]
	if _, err := io.ReadFull(c.in, c.body); err != nil {
		return err
	}
	header := 4 // the correlation id, and in flexible versions a count of tags: none
	if response.IsFlexible() && response.Key() != kmsg.ApiVersions.Int16() {
		header = 5
	}
	return response.ReadFrom(c.body[header:])
}

func (c *conn) produceRequest(o *options, topic, partition int, batch []byte) (*kmsg.ProduceRequest, []byte) {
	request := kmsg.NewPtrProduceRequest()
	request.Version = c.version(request.Key(), maxProduceVersion)
	request.Acks = map[string]int16{"all": -1, "1": 1}[o.acks]
	request.TimeoutMillis = 30_000
	ofTopic := kmsg.NewProduceRequestTopic()
	ofTopic.Topic = o.run.topic(topic)
	ofPartition := kmsg.NewProduceRequestTopicPartition()
	ofPartition.Partition, ofPartition.Records = int32(partition), batch
	ofTopic.Partitions = append(ofTopic.Partitions, ofPartition)
	request.Topics = append(request.Topics, ofTopic)
	return request, c.formatter.AppendRequest(nil, request, 0)
}

// receiveAck reads a produce response into the given one.
func (c *conn) receiveAck(response *kmsg.ProduceResponse) error {
	if err := c.receive(response); err != nil {
		return err
	}
	for _, t := range response.Topics {
		for _, p := range t.Partitions {
			if p.ErrorCode != 0 {
				return kerr.ErrorForCode(p.ErrorCode)
			}
		}
	}
	return nil
}
