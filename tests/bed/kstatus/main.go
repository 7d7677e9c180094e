// kstatus judges resources with cli-utils' own library: a JSON list of objects comes on stdin, a list of
// {status, message} goes to stdout, in the same order.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

type verdict struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

func judge() error {
	var objects []map[string]any
	if err := json.NewDecoder(os.Stdin).Decode(&objects); err != nil {
		return err
	}
	verdicts := make([]verdict, 0, len(objects))
	for _, object := range objects {
		whole(object)
		found, err := status.Compute(&unstructured.Unstructured{Object: object})
		if err != nil {
			return err
		}
		verdicts = append(verdicts, verdict{found.Status.String(), found.Message})
	}
	return json.NewEncoder(os.Stdout).Encode(verdicts)
}

// whole makes integers of JSON's numbers, as the API machinery's own decoder does.
func whole(value any) any {
	switch found := value.(type) {
	case map[string]any:
		for key := range found {
			found[key] = whole(found[key])
		}
	case []any:
		for index := range found {
			found[index] = whole(found[index])
		}
	case float64:
		if found == float64(int64(found)) {
			return int64(found)
		}
	}
	return value
}

func main() {
	if err := judge(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
