// Verifies receipts, inclusion and consistency proofs that Tallystick's Python made, and refuses each of them after any
// byte of it was changed. It follows docs/proof.md and uses the Go project's signed notes and Trillian's Merkle proofs:
// no line of it, and none below it, is shared with the code it checks.
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
)

type cases struct {
	Vkeys         []string      `json:"vkeys"`
	Receipts      [][]byte      `json:"receipts"`
	Inclusions    []inclusion   `json:"inclusions"`
	Consistencies []consistency `json:"consistencies"`
}

type inclusion struct {
	Index uint64   `json:"index"`
	Size  uint64   `json:"size"`
	Leaf  []byte   `json:"leaf"`
	Root  []byte   `json:"root"`
	Proof [][]byte `json:"proof"`
}

type consistency struct {
	First      uint64   `json:"first"`
	Second     uint64   `json:"second"`
	FirstRoot  []byte   `json:"first_root"`
	SecondRoot []byte   `json:"second_root"`
	Proof      [][]byte `json:"proof"`
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: interop CASES.json")
		os.Exit(2)
	}
	summary, err := run(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
		os.Exit(1)
	}
	fmt.Println(summary)
}

func run(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	var all cases
	if err := json.Unmarshal(text, &all); err != nil {
		return "", err
	}
	keys, err := verifiers(all.Vkeys)
	if err != nil {
		return "", err
	}
	refused := 0
	for number, receipt := range all.Receipts {
		count, err := checkAltered(receipt, func(altered []byte) error { return verifyReceipt(altered, keys) })
		if err != nil {
			return "", fmt.Errorf("receipt %d: %w", number, err)
		}
		refused += count
	}
	for number, one := range all.Inclusions {
		count, err := checkAltered(pack(one.Leaf, one.Root, one.Proof), func(packed []byte) error {
			leaf, root, path := unpack(packed)
			return proof.VerifyInclusion(rfc6962.DefaultHasher, one.Index, one.Size, leaf, path, root)
		})
		if err != nil {
			return "", fmt.Errorf("inclusion %d: %w", number, err)
		}
		refused += count
	}
	for number, one := range all.Consistencies {
		count, err := checkAltered(pack(one.FirstRoot, one.SecondRoot, one.Proof), func(packed []byte) error {
			first, second, path := unpack(packed)
			return proof.VerifyConsistency(rfc6962.DefaultHasher, one.First, one.Second, path, first, second)
		})
		if err != nil {
			return "", fmt.Errorf("consistency %d: %w", number, err)
		}
		refused += count
	}
	if len(all.Receipts) == 0 || len(all.Inclusions) == 0 || len(all.Consistencies) == 0 {
		return "", errors.New("there is nothing to check in the file")
	}
	return fmt.Sprintf("%d receipts, %d inclusion and %d consistency proofs verified; %d altered ones refused",
		len(all.Receipts), len(all.Inclusions), len(all.Consistencies), refused), nil
}

// checkAltered verifies the good bytes, then wants a refusal for each single changed byte. It returns how many it tried.
func checkAltered(good []byte, verify func([]byte) error) (int, error) {
	if err := verify(good); err != nil {
		return 0, err
	}
	for at := range good {
		altered := bytes.Clone(good)
		altered[at] ^= 0x20
		if verify(altered) == nil {
			return 0, fmt.Errorf("accepted with byte %d changed", at)
		}
	}
	return len(good), nil
}

func verifyReceipt(text []byte, keys []note.Verifier) error {
	// Names are compared exactly, which decoding into a struct would not do.
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil {
		return err
	}
	var record, checkpoint string
	var index uint64
	var path [][]byte
	for name, target := range map[string]any{"record": &record, "index": &index, "checkpoint": &checkpoint} {
		if err := json.Unmarshal(members[name], target); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	path, err := hashes(members["proof"])
	if err != nil || len(members) != 4 {
		return fmt.Errorf("the members are not those of a receipt: %v", err)
	}
	var said map[string]json.RawMessage
	if err := json.Unmarshal([]byte(record), &said); err != nil {
		return err
	}
	if string(said["index"]) != strconv.FormatUint(index, 10) {
		return errors.New("record and receipt name different places")
	}
	size, root, err := openCheckpoint(checkpoint, keys)
	if err != nil {
		return err
	}
	leaf := rfc6962.DefaultHasher.HashLeaf([]byte(record))
	return proof.VerifyInclusion(rfc6962.DefaultHasher, index, size, leaf, path, root)
}

func openCheckpoint(signed string, keys []note.Verifier) (uint64, []byte, error) {
	opened, err := note.Open([]byte(signed), note.VerifierList(keys...))
	if err != nil {
		return 0, nil, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) < 4 || lines[0] != opened.Sigs[0].Name {
		return 0, nil, errors.New("no checkpoint of the log that signed it")
	}
	size, err := strconv.ParseUint(lines[1], 10, 64)
	if err != nil {
		return 0, nil, err
	}
	root, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	return size, root, err
}

func hashes(text json.RawMessage) ([][]byte, error) {
	var encoded []string
	if err := json.Unmarshal(text, &encoded); err != nil {
		return nil, err
	}
	path := make([][]byte, 0, len(encoded))
	for _, one := range encoded {
		decoded, err := base64.StdEncoding.Strict().DecodeString(one)
		if err != nil || len(decoded) != rfc6962.DefaultHasher.Size() {
			return nil, errors.New("the proof holds what is no hash")
		}
		path = append(path, decoded)
	}
	return path, nil
}

func verifiers(vkeys []string) ([]note.Verifier, error) {
	keys := make([]note.Verifier, 0, len(vkeys))
	for _, line := range vkeys {
		key, err := note.NewVerifier(line)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", line, err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

func pack(one, other []byte, path [][]byte) []byte {
	return bytes.Join(append([][]byte{one, other}, path...), nil)
}

func unpack(packed []byte) (one, other []byte, path [][]byte) {
	width := rfc6962.DefaultHasher.Size()
	for at := 2 * width; at < len(packed); at += width {
		path = append(path, packed[at:at+width])
	}
	return packed[:width], packed[width : 2*width], path
}
