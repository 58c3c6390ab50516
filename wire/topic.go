package wire

// TopicStart is where a consumer group begins in a partition that it has not
// been in: at an offset, at the oldest message, or (the zero value) at what
// comes next.
type TopicStart struct {
	Earliest  bool
	HasOffset bool
	Offset    int64
}

// TopicRange is a run of offsets, both ends included.
type TopicRange struct{ First, Last int64 }

// ConsumeRequest is the body of POST /v1/api/topics/consume (section 1.12). What
// is below Timeout is ours; old clients send none of it.
type ConsumeRequest struct {
	Topic     string // namespace.topic
	Group     string
	Start     TopicStart
	Limit     int // messages at most; the default is 100
	Partition int
	Timeout   int // seconds to wait for a message; 0: answer at once. The server waits only for a named Consumer or a Peek

	AllPartitions bool       // in place of Partition
	Consumer      string     // names one member of the group: what it leases is its own
	Acks          []TopicAck // done before anything is leased
	Peek          bool       // only look: no group, no lease; Start counts every time
}

// TopicAck acknowledges messages of one partition that the consumer has leased.
type TopicAck struct {
	Partition int
	Ranges    []TopicRange
}

// TopicMessage is one message.
type TopicMessage struct {
	Topic       string
	Partition   int
	Offset      int64
	Payload     string // JSON
	Key         string // of the row, as text
	HasKey      bool
	TimestampMS int64
	User        string // "" when there is none
	Op          string // insert, update, delete
	Deliveries  int    // how often the group was given it, this time included; 0: unknown
}

// ConsumeResponse is the answer to a ConsumeRequest. Next is the offset behind
// the last message, and without messages where the group stands. Lease is how
// many milliseconds the consumer has until others get the messages. Lag is how
// many messages of the partitions asked for the group has not acknowledged.
type ConsumeResponse struct {
	Messages []TopicMessage
	Next     int64
	HasMore  bool
	Lease    int64
	Lag      int64
}

// AckRequest is the body of POST /v1/api/topics/ack, nack and extend. Either
// UpTo counts (ack alone), or Consumer and Ranges.
type AckRequest struct {
	Topic     string
	Group     string
	Partition int
	HasUpTo   bool
	UpTo      int64 // everything up to here, inclusive

	Consumer string
	Ranges   []TopicRange
	DelayMS  int64 // nack: how long nobody gets them
	Unused   bool  // nack: they were not looked at, so this does not count as a delivery
}

// AckResponse is the answer to an AckRequest. Lost are messages that the
// consumer no longer has, because its lease ran out and others got them.
type AckResponse struct {
	Success      bool
	Acknowledged int64 // what UpTo was, else the offset up to which the group is done
	Lost         []TopicRange
	Lease        int64 // extend: milliseconds from now
}

// Codes of the topic routes (section 1.12) and ours beside them.
const (
	CodeTopicForbidden   Code = "FORBIDDEN"
	CodePartition        Code = "INVALID_PARTITION"
	CodeNotDelivered     Code = "OFFSET_NOT_DELIVERED"
	CodeTopicNotFound    Code = "TOPIC_NOT_FOUND"
	CodeGroupNotFound    Code = "GROUP_NOT_FOUND"
	CodePayloadTooLarge  Code = "PAYLOAD_TOO_LARGE"
	CodeSourceDependency Code = "TOPIC_SOURCE"
)

// opNames are the operations as the topic routes write them.
var opNames = [...][2]string{{"insert", "Insert"}, {"update", "Update"}, {"delete", "Delete"}}
