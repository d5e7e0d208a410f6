// The package's build, still to come.
export {};
