// Package doctor holds a stream buffer, and the Redis beneath it, against the
// rules of the RTA documentation and against our own settings.
//
// A check is one rule: one file and one line in [Checks]. It is a pure function of
// facts that were read, and says what it found: how many, and three of them. The
// facts are gathered in pages and within bounds, and nothing is ever written.
package doctor

// Severity says how bad a finding is.
type Severity string

// The severities, the mildest first. An error breaks what users rely on; a warning
// will, or breaks a rule; advice is a better way.
const (
	OK      Severity = "ok"
	Advice  Severity = "advice"
	Warning Severity = "warning"
	Error   Severity = "error"
)

// Severities lists those of findings, the mildest first.
func Severities() []Severity { return []Severity{Advice, Warning, Error} }

// rank orders severities.
func (s Severity) rank() int {
	switch s {
	case Advice:
		return 1
	case Warning:
		return 2
	case Error:
		return 3
	}
	return 0
}

// Group is what a check is about.
type Group string

// The groups, in the order in which they are shown.
const (
	Connection Group = "connection"
	Redis      Group = "Redis"
	Sessions   Group = "protocol: sessions"
	Streams    Group = "protocol: streams"
	Counter    Group = "protocol: counter"
	Messages   Group = "protocol: messages"
	Retention  Group = "retention"
	Ourselves  Group = "ourselves"
)

// Groups lists the groups in the order in which they are shown.
func Groups() []Group {
	return []Group{Connection, Redis, Sessions, Streams, Counter, Messages, Retention, Ourselves}
}

// Where rules come from.
const (
	fromStreaming = `RTA documentation, "Streaming to Redis"`
	fromModel     = `RTA documentation, "Session model"`
	fromIDL       = "RTA documentation, net_stream.proto and model_data.proto"
	fromRedis     = "Redis documentation"
	fromOurs      = "streamkeeper documentation"
)

// Check is one rule. Of its functions those are set whose facts it looks at.
type Check struct {
	// ID is its name, in kebab case; it is a metric's label too.
	ID    string
	Group Group
	// Rule in one sentence, and where it stands.
	Rule, Source string
	// Remedy is what to do about a finding.
	Remedy string
	// Noun is what is counted, and Found what is wrong with it: "3 sessions" and
	// "whose streamName no stream has". Good says in short that nothing is.
	Noun, Found, Good string
	// Glance: it costs next to nothing, and the daemon does it after each clean-up.
	Glance bool

	// needs are the facts without which it says nothing, beside those that its
	// functions look at.
	needs []fact

	server    func(*Server, *outcome)
	stream    func(*Stream, *outcome)
	session   func(*Session, *outcome)
	sample    func(*Sample, *outcome)
	buffer    func(*Buffer, *outcome)
	recording func(*Recording, *outcome)
}

// Checks lists the checks in the order in which they are shown within their groups.
func Checks() []Check {
	return []Check{
		// connection
		database(), version(), role(), rights(), encryption(), clock(), roundTrip(),
		// Redis
		maxMemory(), eviction(), memory(), nodeSize(), persistence(), groupMemory(), otherTrimmers(),
		// protocol: sessions
		sessionValue(), sessionForeign(), sessionFields(), sessionTime(), sessionTimeName(), sessionID(),
		sessionStream(), sessionPrefix(), sessionPosition(), sessionRange(),
		sessionJSON(), sessionJSONValid(), sessionIdentity(), sessionState(),
		sessionExpiry(), sessionUpdated(), sessionClosed(), sessionMessages(), sessionTwins(),
		recordComplete(), recordStart(), recordEnd(), recordRange(), recordOrder(),
		// protocol: streams
		streamType(), streamMissing(), streamPrefix(), streamUnlisted(), streamIDs(), streamShared(), streamChurn(),
		// protocol: counter
		counterNumber(), counterBehind(),
		// protocol: messages
		messageFields(), messageValid(), messageAdvice(), messageSession(), messageLimit(), messageSize(), messageRate(),
		// retention
		policyUnused(), flushGap(), coverage(), trimBlocked(), retentionAfforded(),
		// ourselves
		instances(), jobsOverdue(), leaseKey(), pauses(), recorded(), stateKeys(),
	}
}

// Glances lists the ids of the checks that a [Doctor.Glance] does.
func Glances() (ids []string) {
	for _, c := range Checks() {
		if c.Glance {
			ids = append(ids, c.ID)
		}
	}
	return ids
}
