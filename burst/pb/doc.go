// Package pb is generated from data.proto and stream.proto: the messages of
// the RTA documentation's model_data.proto and net_stream.proto in one package.
// They serve those who write bursts and those who show one to a person;
// whether a burst is valid is decided on the wire, by package burst.
package pb
