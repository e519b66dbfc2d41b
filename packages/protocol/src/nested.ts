// class-transformer reads the reflection store at decoration time; without it every import of a
// class with a nested field fails. So `Type` is only ever imported from here.
import 'reflect-metadata';

export { Type } from 'class-transformer';
