import type { MicroserviceOptions } from '@nestjs/microservices';
import { Transport } from '@nestjs/microservices';
import { greeterPlace } from './greeter.place.js';

export const greeterOptions: MicroserviceOptions = {
  transport: Transport.TCP,
  options: greeterPlace,
};
