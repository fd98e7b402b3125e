package demo

import (
	"math"
	"time"
)

// lap is how long the synthetic car takes for a lap.
const lap = 80 * time.Second

// car is a vehicle on a track as a function of time alone, so that the same
// instant always gives the same samples.
type car struct{ phase float64 }

// state is a car at one instant.
type state struct {
	speed    float64 // km/h
	rpm      float64
	throttle float64 // percent
	brake    float64 // bar
	steer    float64 // degrees
	gear     int
}

// The gearbox: in first gear the engine is at its limit at kmhPerGear.
const (
	kmhPerGear = 40
	rpmLimit   = 12_000
	gears      = 8
)

// at is the car's state after t on the track.
func (c car) at(t time.Duration) state {
	angle := 2*math.Pi*t.Seconds()/lap.Seconds() + c.phase
	// Three straights of different lengths.
	speed := 190 + 75*math.Sin(3*angle) + 35*math.Sin(7*angle)
	effort := (225*math.Cos(3*angle) + 245*math.Cos(7*angle)) / 470
	gear := min(gears, 1+int(speed/kmhPerGear))
	return state{
		speed:    speed,
		rpm:      rpmLimit * speed / (kmhPerGear * float64(gear)),
		throttle: 100 * max(0, effort),
		brake:    90 * max(0, -effort),
		steer:    60 * math.Sin(5*angle) * (1 - effort*effort),
		gear:     gear,
	}
}

// channel is a signal of the car, with the step of its converter.
type channel struct {
	id    uint32
	step  float64
	value func(state) float64
}

// The ids of the channels; sensors follow from firstSensor on.
const (
	channelSpeed = iota + 1
	channelRPM
	channelThrottle
	channelBrake
	channelSteer
	channelGear
	channelDistance
	firstSensor = 100
)

func channels() []channel {
	return []channel{
		{channelSpeed, 0.1, func(s state) float64 { return s.speed }},
		{channelRPM, 10, func(s state) float64 { return s.rpm }},
		{channelThrottle, 0.5, func(s state) float64 { return s.throttle }},
		{channelBrake, 0.25, func(s state) float64 { return s.brake }},
		{channelSteer, 0.2, func(s state) float64 { return s.steer }},
	}
}

// quantize rounds to a converter's step.
func quantize(value, step float64) float64 { return math.Round(value/step) * step }
