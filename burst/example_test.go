package burst_test

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/streamkeeper/streamkeeper/burst"
	"github.com/streamkeeper/streamkeeper/burst/pb"
)

func ExampleChecker_Check() {
	plain, err := proto.Marshal(&pb.StreamDataBurst{Data: []*pb.StreamData{
		{Data: &pb.StreamData_SessionJson{SessionJson: `{"identity": "4711", "state": "runnning"}`}},
		{Data: &pb.StreamData_TimeRange{TimeRange: &pb.StreamTimeRange{StartTime: 1, EndTime: 2}}},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	data, err := burst.Pack(burst.Pickle, nil, plain)
	if err != nil {
		fmt.Println(err)
		return
	}

	var checker burst.Checker
	result := checker.Check(data, burst.Auto)
	fmt.Println(result.Verdict, result.Reasons, result.Encoding)
	for kind, n := range result.KindCounts() {
		fmt.Println(n, kind)
	}
	// Output:
	// warn session_state_unknown pickle
	// 1 session_json
	// 1 time_range
}
