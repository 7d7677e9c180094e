// Reads YAML documents, each as one JSON string a line, and answers each with a line: what kubectl's decoder makes of
// it, or why it refuses.
package main

import (
	"bufio"
	"encoding/json"
	"os"

	"sigs.k8s.io/yaml"
)

func main() {
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := bufio.NewWriter(os.Stdout)
	decoder := json.NewDecoder(in)
	for {
		var text string
		if decoder.Decode(&text) != nil {
			break
		}
		value, err := yaml.YAMLToJSON([]byte(text))
		if err != nil {
			value = []byte(`{"refused":` + quoted(err.Error()) + `}`)
		} else {
			value = []byte(`{"value":` + string(value) + `}`)
		}
		out.Write(append(value, '\n'))
		out.Flush()
	}
}

func quoted(text string) string {
	made, _ := json.Marshal(text)
	return string(made)
}
