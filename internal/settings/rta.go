package settings

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// The Stream Service's settings that are understood, as the RTA documentation
// spells them; any letter case will do.
const (
	rtaConnectionString = "RTA_RedisConnectionString"
	rtaDatabase         = "RTA_RedisDb"
	rtaEnableTrimmer    = "RTA_EnableTrimmer"
	rtaTargetLength     = "RTA_Trimmer__TargetStreamLength"
	rtaInterval         = "RTA_Trimmer__Interval"
	rtaApproxLength     = "RTA_Trimmer__ApproxLength"
)

// rtaVariable is one of them as it stands in the environment.
type rtaVariable struct{ name, value string }

// rtaVariables finds the variables by their documented names.
type rtaVariables map[string]rtaVariable

// readRTA picks the Stream Service's variables out of an environment. Empty ones
// count as not set.
func readRTA(environ []string) (vars rtaVariables, faults ConfigErrors) {
	vars = rtaVariables{}
	known := []string{rtaConnectionString, rtaDatabase, rtaEnableTrimmer, rtaTargetLength, rtaInterval, rtaApproxLength}
	for _, pair := range slices.Sorted(slices.Values(environ)) {
		name, value, _ := strings.Cut(pair, "=")
		i := slices.IndexFunc(known, func(k string) bool { return strings.EqualFold(k, name) })
		if i < 0 || value == "" {
			continue
		}
		switch first, ok := vars[known[i]]; {
		case !ok:
			vars[known[i]] = rtaVariable{name, value}
		case first.value != value:
			faults = append(faults, fmt.Sprintf("%s: %s says something else; allowed: one of them", name, first.name))
		}
	}
	return vars, faults
}

// StreamService are the settings that the Stream Service's own variables fill.
type StreamService struct {
	RedisURL      *RedisURL
	TLSServerName *Text
	TrimEnabled   *Bool
	TrimSchedule  *Schedule
	TrimMaxLength *Count
	TrimExact     *Bool
}

// Fill fills the settings that are still at their defaults from the Stream
// Service's variables, and returns what is wrong with those.
func (s StreamService) Fill(environ []string) ConfigErrors {
	vars, faults := readRTA(environ)
	faults = append(faults, s.fillRedis(vars)...)
	translations := []struct {
		from      string
		to        Field
		translate func(string) (string, error)
	}{
		{rtaEnableTrimmer, s.TrimEnabled, translateSwitch},
		{rtaInterval, s.TrimSchedule, translateInterval},
		{rtaTargetLength, s.TrimMaxLength, translateLength},
		{rtaApproxLength, s.TrimExact, translateApprox},
	}
	for _, t := range translations {
		v, ok := vars[t.from]
		if !ok || t.to.Origin() != OriginDefault {
			continue
		}
		text, err := t.translate(v.value)
		if err != nil {
			faults = append(faults, faultLine(v.name, v.value, err))
			continue
		}
		t.to.Set(text, v.name)
	}
	s.fillExact(vars)
	return faults
}

// fillExact makes trimming exact, as the Stream Service's is, for someone who
// has set up its trimmer and not asked for approximation.
func (s StreamService) fillExact(vars rtaVariables) {
	if _, ok := vars[rtaApproxLength]; ok || s.TrimExact.Origin() != OriginDefault {
		return
	}
	for _, name := range []string{rtaTargetLength, rtaInterval} {
		if v, ok := vars[name]; ok {
			s.TrimExact.Set("true", v.name)
			return
		}
	}
}

// fillRedis turns the connection string and the database number into our URL. A
// URL of our own outranks both as a whole: half of each would be a third server.
func (s StreamService) fillRedis(vars rtaVariables) (faults ConfigErrors) {
	connection, hasConnection := vars[rtaConnectionString]
	database, hasDatabase := vars[rtaDatabase]
	if s.RedisURL.Origin() != OriginDefault || !hasConnection && !hasDatabase {
		return nil
	}
	target := connectionString{hosts: []endpoint{{host: "localhost"}}}
	origin := database.name
	if hasConnection {
		var err error
		origin = connection.name
		if target, err = parseConnectionString(connection.value); err != nil {
			faults = append(faults, faultLine(connection.name, masked, fmt.Errorf("%w; allowed: host[:port][,host…][,option=value…]", err)))
		}
	}
	if hasDatabase {
		var err error
		if target.database, err = parseDatabase(database.value); err != nil {
			faults = append(faults, faultLine(database.name, database.value, err))
		}
	}
	if len(faults) > 0 {
		return faults
	}
	s.RedisURL.Set(target.url(), origin)
	if target.tls && s.TLSServerName.Origin() == OriginDefault {
		s.TLSServerName.Set(target.tlsHost, origin)
	}
	return nil
}

func translateSwitch(text string) (string, error) {
	on, err := parseDotnetBool(text)
	return strconv.FormatBool(on), err
}

func translateApprox(text string) (string, error) {
	approximate, err := parseDotnetBool(text)
	return strconv.FormatBool(!approximate), err
}

// translateLength refuses 0, with which the Stream Service would empty every
// stream and which means no limit to us.
func translateLength(text string) (string, error) {
	n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 63)
	if err != nil || n == 0 {
		return "", errors.New("not a length; allowed: a whole number from 1")
	}
	return strconv.FormatUint(n, 10), nil
}

// translateInterval turns seconds into a schedule.
func translateInterval(text string) (string, error) {
	const year = 366 * 24 * 60 * 60
	n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 63)
	if err != nil || n == 0 || n > year {
		return "", errors.New("not an interval; allowed: a whole number of seconds, from 1 to a year")
	}
	return fmt.Sprintf("@every %ds", n), nil
}
