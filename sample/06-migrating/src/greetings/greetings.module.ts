import { Module } from '@nestjs/common';
import { ClientsModule } from '@nestjs/microservices';
import { Transport } from '@nestjs/microservices';
import { greeterPlace } from '../greeter/greeter.place.js';
import { GreetingsController } from './greetings.controller.js';

@Module({
  imports: [
    ClientsModule.register([
      {
        name: 'GREETER',
        transport: Transport.TCP,
        options: greeterPlace,
      },
    ]),
  ],
  controllers: [GreetingsController],
})
export class GreetingsModule {}
