package main

import (
	"bufio"
	"os"
	"sync"
)

type parser struct{ file *os.File }

//go:noinline
func (p *parser) header() { p.file.ReadAt(make([]byte, 32), 0) }

//go:noinline
func (p *parser) entry(at int64) int {
	n, _ := p.file.ReadAt(make([]byte, 16), at)
	return n + 1
}

//go:noinline
func (p *parser) directory() (sum int) {
	for i := int64(0); i < 3; i++ {
		sum += p.entry(100 + 16*i)
	}
	return sum
}

func main() {
	file, err := os.Open(os.Args[1])
	if err != nil {
		panic(err)
	}
	p := &parser{file}
	p.header()
	p.directory()
	var wait sync.WaitGroup
	wait.Add(1)
	go func() {
		defer wait.Done()
		bufio.NewReader(file).ReadString('\n')
	}()
	wait.Wait()
}
