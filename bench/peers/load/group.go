package main

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// What the Java consumer asks for, but for the time to rejoin: five minutes there, which nobody waits for here.
const (
	sessionMillis   = 45_000
	rebalanceMillis = 60_000
)

var protocolType, assignor = "consumer", "sticky"

// group is a classic consumer group whose members have a connection each.
type group struct {
	name, topic string
	members     []*member
	generation  int32
}

type member struct {
	*conn
	group *group
	id    string
	// partition is what the leader assigns to this member.
	partition int32
}

// newGroup returns once the group is stable with all its members.
func newGroup(o *options, name string, conns []*conn) (*group, error) {
	g := &group{name: name, topic: o.run.topic(0)}
	if err := conns[0].untilCoordinated(name); err != nil {
		return nil, err
	}
	for i, c := range conns {
		m := &member{conn: c, group: g, partition: int32(i)}
		joined, err := m.join()
		if !errors.Is(err, kerr.MemberIDRequired) {
			return nil, fmt.Errorf("group %s answers the first join without giving an id: %w", name, err)
		}
		m.id = joined.MemberID
		g.members = append(g.members, m)
	}
	// The first generation does not wait for those who only have an id. The second does: it has them all.
	alone, err := g.members[0].join()
	if err != nil {
		return nil, err
	}
	g.generation = alone.Generation
	return g, g.rebalance()
}

// rebalance has all members join again and take what the leader assigns. Their subscriptions have changed, as those of a sticky
// assignor do: so the first to come, leader or not, begins the rebalance, and the others find it begun.
func (g *group) rebalance() error {
	failures := make([]error, len(g.members))
	var running sync.WaitGroup
	for i, m := range g.members {
		running.Go(func() { failures[i] = m.rejoin() })
	}
	running.Wait()
	g.generation++
	return errors.Join(failures...)
}

// rejoin takes a member through one rebalance; it must find all others in the next generation, and get what is its own.
func (m *member) rejoin() error {
	joined, err := m.join()
	if err != nil {
		return fmt.Errorf("%s joins: %w", m.id, err)
	}
	g := m.group
	generation := g.generation + 1
	if joined.Generation != generation || joined.MemberID != m.id {
		return fmt.Errorf("%s is %s in generation %d, not in %d", m.id, joined.MemberID, joined.Generation, generation)
	}
	request := kmsg.NewPtrSyncGroupRequest()
	request.Group, request.Generation, request.MemberID = g.name, generation, m.id
	request.ProtocolType, request.Protocol = &protocolType, &assignor
	if joined.LeaderID == m.id {
		if len(joined.Members) != len(g.members) {
			return fmt.Errorf("generation %d has %d members of %d", generation, len(joined.Members), len(g.members))
		}
		for _, other := range g.members {
			assigned := kmsg.NewSyncGroupRequestGroupAssignment()
			assigned.MemberID, assigned.MemberAssignment = other.id, other.assignment(generation)
			request.GroupAssignment = append(request.GroupAssignment, assigned)
		}
	}
	response, err := m.askNewest(request, request.MaxVersion())
	if err != nil {
		return err
	}
	synced := response.(*kmsg.SyncGroupResponse)
	if err := kerr.ErrorForCode(synced.ErrorCode); err != nil {
		return fmt.Errorf("%s syncs: %w", m.id, err)
	}
	if !bytes.Equal(synced.MemberAssignment, m.assignment(generation)) {
		return fmt.Errorf("%s did not get what was assigned to it in generation %d", m.id, generation)
	}
	return nil
}

func (m *member) join() (*kmsg.JoinGroupResponse, error) {
	subscription := kmsg.NewConsumerMemberMetadata()
	subscription.Version, subscription.Topics = 1, []string{m.group.topic}
	subscription.UserData = strconv.AppendInt(nil, int64(m.group.generation), 10)
	protocol := kmsg.NewJoinGroupRequestProtocol()
	protocol.Name, protocol.Metadata = assignor, subscription.AppendTo(nil)
	request := kmsg.NewPtrJoinGroupRequest()
	request.Group, request.MemberID, request.ProtocolType = m.group.name, m.id, protocolType
	request.SessionTimeoutMillis, request.RebalanceTimeoutMillis = sessionMillis, rebalanceMillis
	request.Protocols = append(request.Protocols, protocol)
	response, err := m.askNewest(request, request.MaxVersion())
	if err != nil {
		return nil, err
	}
	joined := response.(*kmsg.JoinGroupResponse)
	return joined, kerr.ErrorForCode(joined.ErrorCode)
}

func (m *member) assignment(generation int32) []byte {
	topic := kmsg.NewConsumerMemberAssignmentTopic()
	topic.Topic, topic.Partitions = m.group.topic, []int32{m.partition}
	assignment := kmsg.NewConsumerMemberAssignment()
	assignment.Topics = append(assignment.Topics, topic)
	assignment.UserData = fmt.Appendf(nil, "%s in generation %d", m.id, generation)
	return assignment.AppendTo(nil)
}

func (m *member) heartbeat() error {
	request := kmsg.NewPtrHeartbeatRequest()
	request.Group, request.Generation, request.MemberID = m.group.name, m.group.generation, m.id
	response, err := m.askNewest(request, request.MaxVersion())
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(response.(*kmsg.HeartbeatResponse).ErrorCode)
}

// leave empties the group: its sessions would end in the midst of what is measured next.
func (g *group) leave() error {
	request := kmsg.NewPtrLeaveGroupRequest()
	request.Group = g.name
	for _, m := range g.members {
		leaving := kmsg.NewLeaveGroupRequestMember()
		leaving.MemberID = m.id
		request.Members = append(request.Members, leaving)
	}
	response, err := g.members[0].askNewest(request, request.MaxVersion())
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(response.(*kmsg.LeaveGroupResponse).ErrorCode)
}

// untilCoordinated waits for a broker that makes or loads its topic of offsets when a group first needs it.
func (c *conn) untilCoordinated(group string) error {
	for deadline := time.Now().Add(adminTimeout); ; time.Sleep(leaderPollTime) {
		err := c.findCoordinator(group)
		if err == nil {
			_, err = c.offsetsOf(group)
		}
		if err == nil || !kerr.IsRetriable(err) || time.Now().After(deadline) {
			return err
		}
	}
}

func (c *conn) findCoordinator(group string) error {
	request := kmsg.NewPtrFindCoordinatorRequest()
	request.CoordinatorKey = group
	response, err := c.askNewest(request, 3) // later ones ask for many
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(response.(*kmsg.FindCoordinatorResponse).ErrorCode)
}
