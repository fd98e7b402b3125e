// Package model checks streamkeeper against a second reading of what it
// promises: which entries, sessions and streams stay. The reading is plain and
// slow, looks at a full dump of the data, and shares no code with the product.
//
//   - generate_test.go makes random buffers and settings from a seed;
//   - dump_test.go reads everything that lies in Redis;
//   - entries_test.go, sessions_test.go and streams_test.go say what is right;
//   - model_test.go runs plan and once and compares.
//
// MODEL_CASES=1000 runs so many cases on each version; MODEL_SEED=7 runs one, or
// so many from there; MODEL_PROGRAM runs a program that is built already, such as
// an older one.
package model
